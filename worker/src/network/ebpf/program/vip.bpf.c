/*
 * Virtual addresses translated where a socket is connected, for every container of one daemon.
 *
 * The cgroup programs see every socket of the host and act for those whose network namespace is in `spaces`: a VIP of a
 * network that the namespace is on becomes the address of one of its tasks, port 53 of 127.0.0.11 becomes the
 * namespace's resolver, and what a socket is told of its peer is the address that it asked for. `answer` stands on the
 * bridges of overlay networks and answers ARP and ping for VIPs. The daemon fills the maps but `senders`, `choices` and
 * `peers` (tables.rs has the same layouts); it alone decides.
 *
 * Readers never see half of a change: tasks stand in `slots` under a number before the service's entry names it, in
 * one store of eight bytes, and go after it does not. Elements of a hash map are used again while a reader holds them,
 * so each bears its key, which is compared after it was read.
 *
 * Addresses are 16 bytes in network order, those of IPv4 mapped (::ffff:a.b.c.d); ports are in network order.
 * Nothing is included, so that the object depends on the compiler alone: build.sh.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define READ_ONCE(place) (*(volatile typeof(place) *)&(place))
/* In a map's definition: numbers and types, as BTF carries them. */
#define NUMBER(name, value) int(*name)[value]
#define TYPE(name, value) typeof(value) *name

/* Network order on little-endian hosts; loading is refused on others (kernel.rs). */
#define NET16(value) ((u16)((((value) & 0xff) << 8) | ((value) >> 8 & 0xff)))
#define MAPPED 0xffff0000u
#define RESOLVER 0x0b00007fu
#define DNS NET16(53)

enum {
	HASH = 1,
	LRU_HASH = 9,
	SK_STORAGE = 24,
	NO_PREALLOC = 1,
	CREATE = 1,
	ANY = 0,
	TCP = 6,
	UDP = 17,
	ICMP = 1,
	REFUSED = -111,
	PROCEED = 1,
	REJECT = 0,
	/* Networks of one container: limits.rs, ATTACHMENTS_MAX. */
	NETWORKS_MAX = 16,
	/* Reading a set again after it was changed meanwhile: each time takes another change of that very set. */
	TRIES_MAX = 4,
};

/* A flow of datagrams without a connection keeps its task this long between two of them, in nanoseconds. */
#define FLOW_IDLE 30000000000ull

struct address {
	u32 word[4];
};

struct space {
	u16 udp;
	u16 tcp;
	u32 count;
	u64 network[NETWORKS_MAX];
};

struct service {
	/* Number of the set, and below it how many tasks. */
	u64 set;
	u64 network;
	struct address address;
};

struct slot_key {
	u32 set;
	u32 index;
};

struct slot {
	struct slot_key key;
	struct address task;
};

struct flow {
	u64 socket;
	struct address address;
	u32 port;
	u32 unused;
};

struct choice {
	struct address task;
	u64 used;
	u64 set;
};

struct peer {
	struct address task;
	struct address address;
	u32 port;
};

struct bridge {
	u8 mac[6];
	u16 unused;
	u64 network;
};

/* linux/bpf.h has these. */
struct bpf_sock_addr {
	u32 user_family;
	u32 user_ip4;
	u32 user_ip6[4];
	u32 user_port;
	u32 family;
	u32 type;
	u32 protocol;
	u32 msg_src_ip4;
	u32 msg_src_ip6[4];
	void *sk __attribute__((aligned(8)));
};

struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
};

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u32 (*random_number)(void) = (void *)7;
static long (*redirect)(u32 link, u64 flags) = (void *)23;
static long (*pull_data)(struct __sk_buff *packet, u32 length) = (void *)39;
static u64 (*socket_cookie)(void *context) = (void *)46;
static void *(*socket_storage)(void *map, void *socket, void *value, u64 flags) = (void *)107;
static u64 (*namespace_cookie)(void *context) = (void *)122;
static u64 (*coarse_time)(void) = (void *)160;
static int (*set_result)(int result) = (void *)187;

/* Bounds: the kernel reserves 16 bytes for each entry that there may be, 2.6 MiB in all, and the rest as it is used; of
 * `choices` and `senders` it reserves the whole, 2 MiB each. */

/* By the cookie of a network namespace: more than containers fit a host. */
struct {
	NUMBER(type, HASH);
	NUMBER(map_flags, NO_PREALLOC);
	NUMBER(max_entries, 16384);
	TYPE(key, u64);
	TYPE(value, struct space);
} spaces SECTION(".maps");

/* By VIP: a swarm has some thousand services, on few networks each. */
struct {
	NUMBER(type, HASH);
	NUMBER(map_flags, NO_PREALLOC);
	NUMBER(max_entries, 32768);
	TYPE(key, struct address);
	TYPE(value, struct service);
} services SECTION(".maps");

/* One for each task on a network, and twice those of a service while its set is replaced. */
struct {
	NUMBER(type, HASH);
	NUMBER(map_flags, NO_PREALLOC);
	NUMBER(max_entries, 131072);
	TYPE(key, struct slot_key);
	TYPE(value, struct slot);
} slots SECTION(".maps");

/* By the index of a link: one for each overlay network of the host. */
struct {
	NUMBER(type, HASH);
	NUMBER(map_flags, NO_PREALLOC);
	NUMBER(max_entries, 4096);
	TYPE(key, u32);
	TYPE(value, struct bridge);
} bridges SECTION(".maps");

/* The task that a socket without connection sends to, by VIP and port; those unused for longest go first. */
struct {
	NUMBER(type, LRU_HASH);
	NUMBER(max_entries, 16384);
	TYPE(key, struct flow);
	TYPE(value, struct choice);
} choices SECTION(".maps");

/* The VIP under which a socket without connection knows a task, by its address and port. */
struct {
	NUMBER(type, LRU_HASH);
	NUMBER(max_entries, 16384);
	TYPE(key, struct flow);
	TYPE(value, struct address);
} senders SECTION(".maps");

/* What a connected socket asked for. */
struct {
	NUMBER(type, SK_STORAGE);
	NUMBER(map_flags, NO_PREALLOC);
	TYPE(key, int);
	TYPE(value, struct peer);
} peers SECTION(".maps");

INLINE int same(const struct address *one, const struct address *other)
{
	return one->word[3] == other->word[3] && one->word[2] == other->word[2] && one->word[1] == other->word[1] &&
	       one->word[0] == other->word[0];
}

INLINE struct space *space_of(void *context)
{
	u64 cookie = namespace_cookie(context);
	return map_lookup(&spaces, &cookie);
}

INLINE int is_resolver(const struct address *address)
{
	return address->word[3] == RESOLVER && address->word[2] == MAPPED && !address->word[1] && !address->word[0];
}

/* The service of an address, if the namespace is on its network. */
INLINE struct service *service_of(const struct space *space, const struct address *address)
{
	struct service *service = map_lookup(&services, address);
	if (!service)
		return 0;
	for (u32 index = 0; index < NETWORKS_MAX; index++) {
		if (index >= space->count)
			break;
		if (space->network[index] == service->network)
			return service;
	}
	return 0;
}

/* Draws a task: its set's number and count, zero where there is none to draw. */
INLINE u64 draw(const struct address *address, struct address *task)
{
	for (u32 tries = 0; tries < TRIES_MAX; tries++) {
		struct service *service = map_lookup(&services, address);
		if (!service)
			return 0;
		u64 set = READ_ONCE(service->set);
		if (!same(&service->address, address))
			continue;
		u32 count = (u32)set;
		if (!count)
			return 0;
		struct slot_key key = { .set = set >> 32, .index = random_number() % count };
		struct slot *slot = map_lookup(&slots, &key);
		if (!slot)
			continue;
		for (u32 word = 0; word < 4; word++)
			task->word[word] = READ_ONCE(slot->task.word[word]);
		if (READ_ONCE(slot->key.set) == key.set && READ_ONCE(slot->key.index) == key.index)
			return set;
	}
	return 0;
}

enum verdict { LEAVE, PORT, ADDRESS, REFUSE };

/* Where a connection goes that asked for `address` and `port`, which become that. */
INLINE enum verdict connected(struct bpf_sock_addr *context, struct address *address, u16 *port)
{
	u32 protocol = context->protocol;
	if (protocol != TCP && protocol != UDP)
		return LEAVE;
	struct space *space = space_of(context);
	if (!space)
		return LEAVE;
	if (is_resolver(address)) {
		u16 resolver = protocol == UDP ? space->udp : space->tcp;
		if (*port != DNS || !resolver)
			return LEAVE;
		*port = resolver;
		return PORT;
	}
	if (!service_of(space, address))
		return LEAVE;
	struct address task = {};
	if (!draw(address, &task))
		return REFUSE;
	struct peer *peer = socket_storage(&peers, context->sk, 0, CREATE);
	if (peer) {
		peer->task = task;
		peer->address = *address;
		peer->port = *port;
	}
	*address = task;
	return ADDRESS;
}

/* The same for a datagram of a socket without connection. */
INLINE enum verdict sent(struct bpf_sock_addr *context, struct address *address, u16 *port)
{
	struct space *space = space_of(context);
	if (!space)
		return LEAVE;
	if (is_resolver(address)) {
		if (*port != DNS || !space->udp)
			return LEAVE;
		*port = space->udp;
		return PORT;
	}
	struct service *service = service_of(space, address);
	if (!service)
		return LEAVE;
	struct flow flow = { .socket = socket_cookie(context), .address = *address, .port = *port };
	u64 now = coarse_time();
	struct address task = {};
	struct choice *known = map_lookup(&choices, &flow);
	if (known && (known->set == READ_ONCE(service->set) || now - known->used < FLOW_IDLE)) {
		task = known->task;
		known->used = now;
	} else {
		u64 set = draw(address, &task);
		if (!set)
			return REFUSE;
		struct choice choice = { .task = task, .used = now, .set = set };
		map_update(&choices, &flow, &choice, ANY);
	}
	struct flow answer = { .socket = flow.socket, .address = task, .port = *port };
	struct address *sender = map_lookup(&senders, &answer);
	if (!sender || !same(sender, address))
		map_update(&senders, &answer, address, ANY);
	*address = task;
	return ADDRESS;
}

/* What the peer at `address` and `port` is called, as a socket of the namespace knows it. */
INLINE enum verdict named_in(const struct space *space, struct bpf_sock_addr *context, struct address *address,
			     u16 *port)
{
	if (is_resolver(address)) {
		u16 resolver = context->protocol == UDP ? space->udp : space->tcp;
		if (*port != resolver)
			return LEAVE;
		*port = DNS;
		return PORT;
	}
	struct peer *peer = socket_storage(&peers, context->sk, 0, 0);
	if (peer && peer->port == *port && same(&peer->task, address)) {
		*address = peer->address;
		return ADDRESS;
	}
	return LEAVE;
}

INLINE enum verdict named(struct bpf_sock_addr *context, struct address *address, u16 *port)
{
	struct space *space = space_of(context);
	return space ? named_in(space, context, address, port) : LEAVE;
}

/* The same for who sent a datagram. */
INLINE enum verdict received(struct bpf_sock_addr *context, struct address *address, u16 *port)
{
	struct space *space = space_of(context);
	if (!space)
		return LEAVE;
	enum verdict verdict = named_in(space, context, address, port);
	if (verdict != LEAVE)
		return verdict;
	struct flow answer = { .socket = socket_cookie(context), .address = *address, .port = *port };
	struct address *sender = map_lookup(&senders, &answer);
	if (!sender)
		return LEAVE;
	*address = *sender;
	return ADDRESS;
}

INLINE int apply(struct bpf_sock_addr *context, enum verdict verdict, u16 port)
{
	if (verdict == PORT)
		context->user_port = port;
	if (verdict != REFUSE)
		return PROCEED;
	set_result(REFUSED);
	return REJECT;
}

#define PROGRAM4(hook, decide)                                                                                         \
	SECTION("cgroup/" #hook) int hook(struct bpf_sock_addr *context)                                               \
	{                                                                                                              \
		struct address address = { .word = { 0, 0, MAPPED, context->user_ip4 } };                              \
		u16 port = context->user_port;                                                                         \
		enum verdict verdict = decide(context, &address, &port);                                               \
		if (verdict == ADDRESS)                                                                                \
			context->user_ip4 = address.word[3];                                                           \
		return apply(context, verdict, port);                                                                  \
	}

#define PROGRAM6(hook, decide)                                                                                         \
	SECTION("cgroup/" #hook) int hook(struct bpf_sock_addr *context)                                               \
	{                                                                                                              \
		struct address address;                                                                                \
		address.word[0] = context->user_ip6[0];                                                                \
		address.word[1] = context->user_ip6[1];                                                                \
		address.word[2] = context->user_ip6[2];                                                                \
		address.word[3] = context->user_ip6[3];                                                                \
		u16 port = context->user_port;                                                                         \
		enum verdict verdict = decide(context, &address, &port);                                               \
		if (verdict == ADDRESS) {                                                                              \
			context->user_ip6[0] = address.word[0];                                                        \
			context->user_ip6[1] = address.word[1];                                                        \
			context->user_ip6[2] = address.word[2];                                                        \
			context->user_ip6[3] = address.word[3];                                                        \
		}                                                                                                      \
		return apply(context, verdict, port);                                                                  \
	}

PROGRAM4(connect4, connected)
PROGRAM4(sendmsg4, sent)
PROGRAM4(recvmsg4, received)
PROGRAM4(getpeername4, named)
PROGRAM6(connect6, connected)
PROGRAM6(sendmsg6, sent)
PROGRAM6(recvmsg6, received)
PROGRAM6(getpeername6, named)

/* Frames that reach a bridge itself: those for VIPs are answered here or go no further. */

enum {
	PASS = 0,
	DROP = 2,
	ETHERNET = 14,
	ARP_FRAME = 42,
	IPV4_FRAME = 34,
	ECHO_FRAME = 42,
	ECHO_REQUEST = 8,
};

struct ethernet {
	u8 to[6];
	u8 from[6];
	u16 kind;
} __attribute__((packed));

struct arp {
	u16 hardware;
	u16 protocol;
	u8 hardware_length;
	u8 protocol_length;
	u16 operation;
	u8 sender_mac[6];
	u32 sender;
	u8 target_mac[6];
	u32 target;
} __attribute__((packed));

struct ipv4 {
	u8 version_length;
	u8 service;
	u16 length;
	u16 identification;
	u16 fragment;
	u8 hops;
	u8 protocol;
	u16 checksum;
	u32 from;
	u32 to;
} __attribute__((packed));

struct icmp {
	u8 kind;
	u8 code;
	u16 checksum;
} __attribute__((packed));

INLINE struct service *service_on(const struct bridge *bridge, u32 address)
{
	struct address mapped = { .word = { 0, 0, MAPPED, address } };
	struct service *service = map_lookup(&services, &mapped);
	return service && service->network == bridge->network ? service : 0;
}

INLINE void copy_mac(u8 *to, const u8 *from)
{
	for (u32 index = 0; index < 6; index++)
		to[index] = from[index];
}

INLINE int send_back(struct __sk_buff *packet, struct ethernet *ethernet, const struct bridge *bridge)
{
	copy_mac(ethernet->to, ethernet->from);
	copy_mac(ethernet->from, bridge->mac);
	return redirect(packet->ifindex, 0);
}

INLINE int answer_arp(struct __sk_buff *packet, const struct bridge *bridge)
{
	if (pull_data(packet, ARP_FRAME))
		return PASS;
	void *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;
	struct ethernet *ethernet = data;
	struct arp *arp = data + ETHERNET;
	if (data + ARP_FRAME > end)
		return PASS;
	if (arp->operation != NET16(1) || arp->protocol != NET16(0x0800) || arp->hardware != NET16(1))
		return PASS;
	u32 address = arp->target, client = arp->sender;
	if (!service_on(bridge, address))
		return PASS;
	arp->operation = NET16(2);
	copy_mac(arp->target_mac, arp->sender_mac);
	arp->target = client;
	copy_mac(arp->sender_mac, bridge->mac);
	arp->sender = address;
	return send_back(packet, ethernet, bridge);
}

INLINE int answer_echo(struct __sk_buff *packet, const struct bridge *bridge)
{
	if (pull_data(packet, IPV4_FRAME))
		return PASS;
	void *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;
	struct ipv4 *ip = data + ETHERNET;
	if (data + IPV4_FRAME > end)
		return PASS;
	u32 address = ip->to, client = ip->from;
	struct service *service = service_on(bridge, address);
	if (!service)
		return PASS;
	/* From here on it is for a VIP: the host's own routes have no use for it. */
	if (ip->protocol != ICMP || ip->version_length != 0x45 || !(u32)READ_ONCE(service->set))
		return DROP;
	if (!(ip->fragment & NET16(0x1fff))) {
		if (pull_data(packet, ECHO_FRAME))
			return DROP;
		data = (void *)(long)packet->data;
		end = (void *)(long)packet->data_end;
		if (data + ECHO_FRAME > end)
			return DROP;
		struct icmp *icmp = data + IPV4_FRAME;
		if (icmp->kind != ECHO_REQUEST || icmp->code)
			return DROP;
		icmp->kind = 0;
		/* One word became zero: RFC 1624. */
		u32 sum = (u16)~icmp->checksum + (u16)~NET16(ECHO_REQUEST << 8);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		icmp->checksum = ~sum;
	}
	if (data + IPV4_FRAME > end)
		return DROP;
	ip = data + ETHERNET;
	ip->to = client;
	ip->from = address;
	return send_back(packet, data, bridge);
}

SECTION("classifier") int answer(struct __sk_buff *packet)
{
	u32 link = packet->ifindex;
	struct bridge *bridge = map_lookup(&bridges, &link);
	if (!bridge)
		return PASS;
	if (packet->protocol == NET16(0x0806))
		return answer_arp(packet, bridge);
	if (packet->protocol == NET16(0x0800))
		return answer_echo(packet, bridge);
	return PASS;
}

char _license[] SECTION("license") = "Apache-2.0";
