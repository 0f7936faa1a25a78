//! What a task's container has and how it ends, seen with either client: mounts, limits, users, exec, logs, exit codes.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::time::Duration;

use shoal_cluster_tests::{Client, Finished, Swarm, run, wait_for};

const SOON: Duration = Duration::from_secs(30);
const BOTH: [Client; 2] = [Client::Docker, Client::Shoal];

/// One host, and an image with a shell.
struct House {
    swarm: Swarm,
    image: String,
    _registry: shoal_cluster_tests::Registry,
}

impl House {
    fn new() -> Self {
        let swarm = Swarm::new(Client::Shoal, 1, 0);
        let registry = swarm.start_registry();
        let image = registry.push_shell("shell", "1");
        Self { swarm, image, _registry: registry }
    }

    fn ask(&self, client: Client, arguments: &[&str]) -> Finished {
        self.swarm.hosts[0].client(client, arguments)
    }

    /// The service is `NAME-CLIENT`, so that what is left of another client's is not taken for it.
    fn create(&self, client: Client, name: &str, flags: &[&str], command: &[&str]) {
        let create = ["service", "create", "-d", "--name", &service(name, client)];
        self.ask(client, &[&create[..], flags, &[&self.image], command].concat()).ok();
    }

    fn remove(&self, client: Client, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| service(name, client)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.ask(client, &[&["service", "rm"], &names[..]].concat()).ok();
    }

    /// The running container of a service.
    fn container(&self, client: Client, name: &str) -> String {
        let service = service(name, client);
        let label = format!("label=com.docker.swarm.service.name={service}");
        wait_for(&format!("{service} runs"), SOON, || {
            let list = self.ask(client, &["ps", "-q", "--no-trunc", "--filter", &label]);
            let tasks = || self.ask(client, &["service", "ps", "--no-trunc", &service]).out;
            list.out.lines().next().map(str::to_owned).ok_or_else(tasks)
        })
    }

    /// How the first task of a service that restarts nothing ended.
    fn ending(&self, client: Client, name: &str) -> String {
        let service = service(name, client);
        wait_for(&format!("{service} ends"), SOON, || {
            let format = ["--no-trunc", "--format", "{{.CurrentState}}|{{.Error}}"];
            let list = self.ask(client, &[&["service", "ps", &service], &format[..]].concat());
            let ended = ["Complete", "Failed", "Rejected"].iter().any(|state| list.out.starts_with(state));
            if ended { Ok(list.out.trim().to_owned()) } else { Err(format!("{}{}", list.out, list.err)) }
        })
    }
}

fn service(name: &str, client: Client) -> String {
    format!("{name}-{client:?}").to_lowercase()
}

#[test]
fn a_container_is_as_it_was_asked_for() {
    let house = House::new();
    for client in BOTH {
        mounts_and_identity(&house, client);
        limits(&house, client);
        the_daemon_counts_it(&house, client);
        exec(&house, client);
        logs(&house, client);
        health(&house, client);
        endings(&house, client);
    }
}

fn mounts_and_identity(house: &House, client: Client) {
    let shared = house.swarm.folder().join("shared");
    std::fs::create_dir_all(&shared).expect("a folder can be made");
    std::fs::write(shared.join("greeting"), "hello\n").expect("a file can be written");
    let bind = format!("type=bind,source={},target=/shared,readonly", shared.display());
    let flags = ["--mount", &bind, "--mount", "type=volume,source=data,target=/data"];
    let more = ["--mount", "type=tmpfs,target=/scratch,tmpfs-size=1m", "--hostname", "box-1"];
    let rest = ["--env", "A=b c", "--workdir", "/tmp", "--user", "1000:1000", "--ulimit", "nofile=77:99"];
    let process = ["--cap-drop", "ALL", "--read-only", "--container-label", "tier=test"];
    house.create(client, "mounts", &[&flags[..], &more, &rest, &process].concat(), &["sleep", "1000"]);
    let container = house.container(client, "mounts");
    let within = |script: &str| house.ask(client, &["exec", &container, "sh", "-c", script]);
    assert_eq!(within("cat /shared/greeting").ok(), "hello");
    assert!(within("echo x > /shared/greeting").refused().contains("Read-only"), "{client:?}");
    assert_eq!(
        within("echo \"$A $(hostname) $(pwd) $(id -u):$(id -g) $(ulimit -n)\"").ok(),
        "b c box-1 /tmp 1000:1000 77"
    );
    assert!(within("touch /here").refused().contains("Read-only"), "{client:?}");
    assert!(within("df -k /scratch | tail -1").ok().contains("1024"), "{client:?}");
    assert!(within("grep CapEff /proc/self/status").ok().ends_with("0000000000000000"), "{client:?}");
    assert!(within("ls /data").code == 0, "{client:?}");
    let seen =
        house.ask(client, &["inspect", "--format", "{{index .Config.Labels \"tier\"}} {{len .Mounts}}", &container]);
    assert_eq!(seen.ok(), "test 3");
    house.remove(client, &["mounts"]);
}

/// While a container runs, its image is in use; and the node shows who signs certificates.
fn the_daemon_counts_it(house: &House, client: Client) {
    house.create(client, "counted", &[], &["sleep", "100000"]);
    house.container(client, "counted");
    let used = house.swarm.hosts[0].docker(&["system", "df", "--format", "{{.Type}} {{.Active}}"]);
    assert!(used.ok().contains("Images 1"), "{}", used.out);
    let issuer = house.ask(client, &["node", "inspect", "--format", "{{json .Description.TLSInfo}}", "self"]);
    for field in ["CertIssuerSubject", "CertIssuerPublicKey"] {
        assert!(issuer.ok().contains(&format!("\"{field}\":\"M")), "{client:?} {field} in DER: {}", issuer.out);
    }
    house.remove(client, &["counted"]);
}

fn limits(house: &House, client: Client) {
    let flags = ["--limit-memory", "32M", "--limit-cpu", "0.5", "--limit-pids", "20"];
    house.create(client, "limits", &flags, &["sleep", "1000"]);
    let container = house.container(client, "limits");
    let format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    let told = house.ask(client, &["inspect", "--format", format, &container]);
    assert_eq!(told.ok(), "33554432 500000000 20");
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(house.ask(client, &["exec", &container, "sh", "-c", script]).ok(), "33554432");
    let forks = "for i in $(seq 40); do sleep 5 & done; wait";
    let refused = house.ask(client, &["exec", &container, "sh", "-c", forks]).refused();
    assert!(refused.contains("fork"), "{refused}");
    house.remove(client, &["limits"]);
}

fn exec(house: &House, client: Client) {
    house.create(client, "exec", &[], &["sleep", "1000"]);
    let container = house.container(client, "exec");
    let code = house.ask(client, &["exec", &container, "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((code.code, code.out.trim(), code.err.trim()), (7, "out", "err"), "{client:?}");
    let user = ["exec", "-u", "guest", "-w", "/tmp", "-e", "B=c", &container, "sh", "-c", "echo $(id -un) $(pwd) $B"];
    assert_eq!(house.ask(client, &user).ok(), "guest /tmp c");
    let missing = house.ask(client, &["exec", &container, "nothing"]);
    assert!(missing.code == 127 && missing.refused().contains("nothing"), "{client:?} {missing:?}");
    // Standard input goes in and its end is seen; a terminal is one, of the size of the client's.
    let program = house.swarm.hosts[0].client_command(client).get_program().to_string_lossy().into_owned();
    let socket = format!("unix://{}", house.swarm.hosts[0].socket().display());
    let piped = format!("printf 'one\\ntwo\\n' | {program} -H {socket} exec -i {container} wc -l");
    assert_eq!(run(std::process::Command::new("sh").args(["-c", &piped]), SOON).ok(), "2");
    let typed = format!("stty rows 33 cols 101; {program} -H {socket} exec -it {container} sh -c 'tty; stty size'");
    let seen = run(std::process::Command::new("script").args(["-qec", &typed, "/dev/null"]), SOON);
    assert!(seen.ok().contains("/dev/pts/") && seen.out.contains("33 101"), "{client:?} {}", seen.out);
    house.remove(client, &["exec"]);
}

fn logs(house: &House, client: Client) {
    let script = "for i in 1 2 3; do echo line $i; done; echo problem >&2; sleep 1000";
    house.create(client, "logs", &["--stop-grace-period", "1s"], &["sh", "-c", script]);
    let container = house.container(client, "logs");
    let all = wait_for("all is logged", SOON, || {
        let all = house.ask(client, &["logs", &container]);
        if all.err.contains("problem") { Ok(all) } else { Err(all.out) }
    });
    assert_eq!((all.out.as_str(), all.err.as_str()), ("line 1\nline 2\nline 3\n", "problem\n"), "{client:?}");
    let last = house.ask(client, &["logs", "--tail", "2", &container]);
    assert_eq!(format!("{}{}", last.out, last.err), "line 3\nproblem\n", "{client:?}");
    let stamped = house.ask(client, &["logs", "-t", "--tail", "1", &container]);
    assert!(stamped.err.starts_with("20") && stamped.err.ends_with("Z problem\n"), "{client:?} {}", stamped.err);
    assert_eq!(house.ask(client, &["logs", "--since", "2999-01-01T00:00:00Z", &container]).ok(), "");
    // Following ends with the container.
    let follow = house.swarm.hosts[0]
        .client_command(client)
        .args(["logs", "-f", &container])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut follow = follow.expect("the client starts");
    house.remove(client, &["logs"]);
    wait_for("following ends", SOON, || match follow.try_wait() {
        Ok(Some(status)) => Ok(status),
        other => Err(format!("{other:?}")),
    });
}

fn health(house: &House, client: Client) {
    let check = ["--health-cmd", "test -e /tmp", "--health-interval", "200ms", "--stop-grace-period", "1s"];
    house.create(client, "well", &check, &["sleep", "1000"]);
    let container = house.container(client, "well");
    wait_for("its health is shown", SOON, || {
        let list =
            house.ask(client, &["ps", "--no-trunc", "--filter", "health=healthy", "--format", "{{.ID}} {{.Status}}"]);
        if list.out.contains(&container) && list.out.contains("(healthy)") { Ok(()) } else { Err(list.out) }
    });
    let state = house.ask(client, &["inspect", "--format", "{{.State.Health.Status}}", &container]);
    assert_eq!(state.ok(), "healthy");
    let others = house.ask(client, &["ps", "-aq", "--no-trunc", "--filter", "health=unhealthy"]);
    assert!(!others.ok().contains(&container), "{client:?} {}", others.out);
    let unknown = house.ask(client, &["ps", "--filter", "status=bogus"]).refused();
    assert!(unknown.contains("status=bogus") && unknown.contains("running"), "{client:?} {unknown}");
    house.remove(client, &["well"]);
}

fn endings(house: &House, client: Client) {
    let once = ["--restart-condition", "none"];
    house.create(client, "fine", &once, &["true"]);
    assert!(house.ending(client, "fine").starts_with("Complete"), "{client:?}");
    house.create(client, "seven", &once, &["sh", "-c", "exit 7"]);
    let seven = house.ending(client, "seven");
    assert!(seven.starts_with("Failed") && seven.contains("task: non-zero exit (7)"), "{client:?} {seven}");
    let ended = house.ask(client, &["ps", "-q", "--filter", "exited=7"]);
    assert!(!ended.ok().is_empty(), "{client:?}");
    // From outside: within its namespace the first process can't be killed.
    house.create(client, "killed", &once, &["sleep", "1000"]);
    let container = house.container(client, "killed");
    let pid = house.ask(client, &["inspect", "--format", "{{.State.Pid}}", &container]);
    let pid = nix::unistd::Pid::from_raw(pid.ok().parse().expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it can be killed");
    let killed = house.ending(client, "killed");
    assert!(killed.contains("task: non-zero exit (137)"), "{client:?} {killed}");
    let greedy = ["sh", "-c", "x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done"];
    house.create(client, "greedy", &[&once[..], &["--limit-memory", "16M"]].concat(), &greedy);
    let greedy = house.ending(client, "greedy");
    assert!(greedy.contains("137") && greedy.to_lowercase().contains("memory"), "{client:?} {greedy}");
    house.create(client, "absent", &once, &["/no/such/program"]);
    let absent = house.ending(client, "absent");
    assert!(absent.contains("/no/such/program"), "{client:?} {absent}");
    // The stop signal asked for comes first, and what ignores it is killed after its grace period.
    let deaf = ["--stop-signal", "SIGUSR1", "--stop-grace-period", "300ms"];
    house.create(client, "deaf", &deaf, &["sh", "-c", "trap '' USR1; while true; do sleep 1; done"]);
    let container = house.container(client, "deaf");
    house.remove(client, &["fine", "seven", "killed", "greedy", "absent", "deaf"]);
    wait_for("what is deaf is killed", SOON, || {
        let list = house.ask(client, &["ps", "-aq", "--no-trunc"]);
        if list.ok().contains(&container) { Err(list.out) } else { Ok(()) }
    });
}
