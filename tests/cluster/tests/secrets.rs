//! Secrets and configs: where containers see them, where nobody does, and how they come and go.

use std::time::Duration;

use shoal_cluster_tests::{Client, Finished, Registry, Swarm, run, wait_for};

const SOON: Duration = Duration::from_secs(40);
const FIRST: &str = "geheim-7f3a9c-first";
const SECOND: &str = "geheim-7f3a9c-second";
const CONF: &str = "slot={{.Task.Slot}} mode={{env \"MODE\"}} key={{secret \"app/key\"}} on={{.Node.ID}}";

/// A manager and a worker, a secret and a config, and a service with a shell that has both.
struct House {
    swarm: Swarm,
    _registry: Registry,
}

impl House {
    fn new(client: Client) -> Self {
        let swarm = Swarm::new(client, 1, 1);
        let registry = swarm.start_registry();
        let shell = registry.push_shell("shell", "1");
        let house = Self { swarm, _registry: registry };
        let label = ["--label", "tier=front"];
        house.create(&[&["secret", "create"], &label[..], &["first"]].concat(), FIRST).ok();
        house.create(&["config", "create", "--template-driver", "golang", "conf"], CONF).ok();
        let create = [
            "service",
            "create",
            "-d",
            "--name",
            "app",
            "--replicas",
            "2",
            "--constraint",
            "node.role==worker",
            "--label",
            "tier=front",
            "--env",
            "MODE=m{{.Task.Slot}}",
            "--hostname",
            "{{.Service.Name}}-{{.Task.Slot}}",
            "--mount",
            "type=volume,source=data-{{.Task.Slot}},target=/data/{{.Service.Labels.tier}}",
            "--secret",
            "source=first,target=app/key,uid=1000,gid=1001,mode=0440",
            "--config",
            "source=conf,target=/etc/app/app.conf",
            "--stop-grace-period",
            "1s",
            &shell,
            "sleep",
            "100000",
        ];
        house.swarm.ask(0, &create).ok();
        house.swarm.wait_running(0, "app", 2, &[]);
        house
    }

    /// Makes an object of a file with this content.
    fn create(&self, command: &[&str], content: &str) -> Finished {
        let file = self.swarm.folder().join("content");
        std::fs::write(&file, content).unwrap_or_default();
        self.swarm.ask(0, &[command, &[&file.display().to_string()]].concat())
    }

    /// The service's containers, on the worker.
    fn containers(&self) -> Vec<String> {
        let list = self.swarm.ask(1, &["ps", "-q", "--filter", "label=com.docker.swarm.service.name=app"]);
        list.ok().lines().map(str::to_owned).collect()
    }

    fn within(&self, container: &str, script: &str) -> Finished {
        self.swarm.ask(1, &["exec", container, "sh", "-c", script])
    }

    /// The containers' file systems in memory, on the worker.
    fn mounts(&self) -> usize {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = self.swarm.hosts[1].exec_root().display().to_string();
        mounts.lines().filter(|line| line.contains(&own) && line.contains("/payloads ")).count()
    }
}

#[test]
fn containers_see_their_secrets_and_nobody_else_does() {
    let mut house = House::new(Client::Docker);
    let containers = house.containers();
    assert_eq!((containers.len(), house.mounts()), (2, 2));
    for container in &containers {
        see_files(&house, container);
    }
    let shown = house.swarm.ask(0, &["secret", "inspect", "first"]);
    assert!(shown.ok().contains("\"tier\": \"front\"") && !shown.out.contains("Data"), "{}", shown.out);
    for host in &house.swarm.hosts {
        let (root, log) = (host.data_root(), host.log());
        let found = run(std::process::Command::new("grep").args(["-r", "-l", "-a", FIRST]).arg(&root).arg(&log), SOON);
        assert_eq!((found.code, found.out.as_str()), (1, ""), "on disk or in the log of host {}", host.number);
    }

    house.swarm.hosts[1].kill();
    house.swarm.hosts[1].up();
    house.swarm.wait_ready(2);
    assert_eq!(house.containers(), containers, "what ran runs on");
    assert_eq!(house.within(&containers[0], "cat /run/secrets/app/key").ok(), FIRST);

    another_secret_takes_its_place(&house);
    house.swarm.ask(0, &["service", "rm", "app"]).ok();
    wait_for("the files are gone with the tasks", SOON, || match house.mounts() {
        0 => Ok(()),
        left => Err(format!("{left} are left")),
    });
    house.swarm.ask(0, &["secret", "rm", "second"]).ok();
    house.swarm.ask(0, &["config", "rm", "conf"]).ok();
    assert_eq!(house.swarm.ask(0, &["secret", "ls", "-q"]).ok(), "");
}

fn see_files(house: &House, container: &str) {
    let within = |script: &str| house.within(container, script);
    let host = within("hostname");
    let slot = host.ok().strip_prefix("app-").unwrap_or_default().to_owned();
    assert_eq!(within("cat /run/secrets/app/key").ok(), FIRST);
    assert_eq!(within("stat -c '%u %g %a' /run/secrets/app/key").ok(), "1000 1001 440");
    assert_eq!(within("stat -c '%u %g %a' /etc/app/app.conf").ok(), "0 0 444");
    let conf = within("cat /etc/app/app.conf");
    assert!(conf.ok().starts_with(&format!("slot={slot} mode=m{slot} key={FIRST} on=")), "{}", conf.out);
    assert_eq!(within("echo $MODE").ok(), format!("m{slot}"));
    assert!(within("mount").ok().contains("/run/secrets/app/key type tmpfs (ro,"), "{}", within("mount").out);
    for path in ["/run/secrets/app/key", "/etc/app/app.conf"] {
        for attempt in ["echo x >", "rm -f", "chmod 777", "mount -o remount,rw"] {
            let refused = within(&format!("{attempt} {path}")).refused();
            assert!(!refused.is_empty(), "{attempt} {path}");
        }
    }
    let volumes =
        house.swarm.ask(1, &["inspect", "--format", "{{range .Mounts}}{{.Name}} {{.Destination}}{{end}}", container]);
    assert_eq!(volumes.ok(), format!("data-{slot} /data/front"));
}

fn another_secret_takes_its_place(house: &House) {
    let swarm = &house.swarm;
    house.create(&["secret", "create", "second"], SECOND).ok();
    let refused = swarm.ask(0, &["secret", "rm", "first"]).refused();
    assert!(refused.contains("secret 'first' is in use by the following service: app"), "{refused}");
    let update = ["service", "update", "--secret-rm", "first", "--secret-add", "source=second,target=app/key", "app"];
    swarm.ask(0, &update).ok();
    wait_for("the new secret is seen", SOON, || {
        let containers = house.containers();
        let seen: Vec<String> = containers
            .iter()
            .map(|it| house.within(it, "cat /run/secrets/app/key; cat /etc/app/app.conf").out)
            .collect();
        let is_new = |text: &String| text.starts_with(SECOND) && text.contains(&format!("key={SECOND} "));
        if seen.len() == 2 && seen.iter().all(is_new) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    wait_for("the update is over", SOON, || {
        let removed = swarm.ask(0, &["secret", "rm", "first"]);
        if removed.code == 0 { Ok(()) } else { Err(removed.err) }
    });
}

#[test]
fn both_clients_make_list_and_refuse_them_alike() {
    let swarm = Swarm::apart(1);
    swarm.ask(0, &["swarm", "init", "--advertise-addr", &swarm.hosts[0].address()]).ok();
    let file = swarm.folder().join("content");
    let file = file.display().to_string();
    for client in [Client::Docker, Client::Shoal] {
        let ask = |arguments: &[&str]| swarm.hosts[0].client(client, arguments);
        std::fs::write(&file, "one").unwrap_or_default();
        for (kind, header) in [("secret", "DRIVER"), ("config", "NAME")] {
            let id = ask(&[kind, "create", "-l", "a=b", "one", &file]).ok().to_owned();
            assert_eq!(ask(&[kind, "ls", "-q", "--filter", "name=on", "--filter", "label=a=b"]).ok(), id);
            assert_eq!(ask(&[kind, "ls", "-q", "--filter", "label=none"]).ok(), "");
            let list = ask(&[kind, "ls"]);
            assert!(list.ok().contains(header) && list.out.contains(&id), "{}", list.out);
            assert_eq!(ask(&[kind, "inspect", "--format", "{{.Spec.Name}}", &id[..8]]).ok(), "one");
            let refused = ask(&[kind, "create", "ONE", &file]).refused();
            assert!(refused.contains(&format!("{kind} one already exists")), "{refused}");
            let refused = ask(&[kind, "create", "a b", &file]).refused();
            assert!(refused.contains("invalid name") && refused.contains("'a b'"), "{refused}");
            let refused = ask(&[kind, "create", "--template-driver", "jinja", "two", &file]).refused();
            assert!(refused.contains("golang is expected"), "{refused}");
            let service = ["service", "create", "-d", &format!("--{kind}"), "none", "busybox"];
            assert!(ask(&service).refused().contains("none"));
            assert_eq!(ask(&[kind, "rm", "one"]).ok(), "one");
            assert!(ask(&[kind, "rm", "one"]).refused().contains(&format!("{kind} one not found")));
        }
        std::fs::write(&file, "{{.Nope}}").unwrap_or_default();
        let refused = ask(&["config", "create", "--template-driver", "golang", "two", &file]).refused();
        assert!(refused.contains("there is no field .Nope; the fields are .Service.ID"), "{refused}");
        let refused = ask(&["service", "create", "-d", "--hostname", "{{.Task.Nope}}", "busybox"]).refused();
        assert!(refused.contains("ContainerSpec.Hostname '{{.Task.Nope}}'"), "{refused}");
        std::fs::write(&file, vec![b'x'; 512_000]).unwrap_or_default();
        let refused = ask(&["secret", "create", "two", &file]).refused();
        assert!(refused.contains("less than 512000 bytes"), "{refused}");
        std::fs::write(&file, vec![b'x'; 1_023_999]).unwrap_or_default();
        ask(&["config", "create", "two", &file]).ok();
        ask(&["config", "rm", "two"]).ok();
    }
}
