//! Stacks by the stock client: deployed, looked at, changed, taken down.

use std::path::PathBuf;
use std::time::Duration;

use shoal_cluster_tests::{Client, Registry, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(40);

/// A web server that is published, one behind it, and a database; two networks, a secret and a config.
fn compose(web: &str, shell: &str) -> String {
    format!(
        "version: '3.8'\n\
         services:\n  \
           web:\n    image: {web}\n    ports: ['8088:80']\n    networks: [front, back]\n    deploy: {{replicas: 2}}\n  \
           api:\n    image: {web}\n    networks: [back]\n    configs: [{{source: settings, target: /etc/api.conf}}]\n    \
             deploy: {{replicas: 2, endpoint_mode: dnsrr}}\n  \
           database:\n    image: {shell}\n    command: sleep 100000\n    read_only: true\n    stop_grace_period: 1s\n    \
             hostname: '{{{{.Service.Name}}}}'\n    networks: {{back: {{aliases: [db]}}}}\n    secrets: [password]\n    \
             configs: [settings]\n\
         networks:\n  front:\n  back: {{internal: true}}\n\
         secrets:\n  password: {{file: ./password}}\n\
         configs:\n  settings: {{file: ./settings}}\n"
    )
}

struct Stack {
    swarm: Swarm,
    _registry: Registry,
    file: PathBuf,
}

impl Stack {
    fn new() -> Self {
        let swarm = Swarm::new(Client::Docker, 1, 1);
        let registry = swarm.start_registry();
        let (web, shell) = (registry.push_web("web", "1"), registry.push_shell("shell", "1"));
        let stack = Self { file: swarm.folder().join("stack.yml"), swarm, _registry: registry };
        stack.write("stack.yml", &compose(&web, &shell));
        stack.write("password", "geheim");
        stack.write("settings", "level=1");
        stack
    }

    fn write(&self, name: &str, text: &str) {
        drop(std::fs::write(self.swarm.folder().join(name), text));
    }

    fn deploy(&self) -> shoal_cluster_tests::Finished {
        self.swarm.ask(0, &["stack", "deploy", "-c", &self.file.display().to_string(), "app"])
    }

    /// Runs a script in the database's container.
    fn within(&self, script: &str) -> shoal_cluster_tests::Finished {
        let label = "label=com.docker.swarm.service.name=app_database";
        let (host, container) = wait_for("the database runs", SOON, || {
            let find =
                |host| self.swarm.ask(host, &["ps", "-q", "--filter", label]).out.lines().next().map(str::to_owned);
            (0..2).find_map(|host| Some((host, find(host)?))).ok_or_else(String::new)
        });
        self.swarm.ask(host, &["exec", &container, "sh", "-c", script])
    }
}

#[test]
fn a_stack_works_by_the_stock_client() {
    let stack = Stack::new();
    let swarm = &stack.swarm;
    stack.deploy().ok();
    for (service, count) in [("app_web", 2), ("app_api", 2), ("app_database", 1)] {
        swarm.wait_running(0, service, count, &[]);
    }
    let list = swarm.ask(0, &["stack", "ls", "--format", "{{.Name}} {{.Services}}"]);
    assert_eq!(list.ok(), "app 3");
    let tasks = swarm.ask(0, &["stack", "ps", "app", "--format", "{{.Name}}"]);
    assert_eq!(tasks.ok().lines().count(), 5, "{}", tasks.out);
    let services = swarm.ask(0, &["stack", "services", "app", "--format", "{{.Name}} {{.Replicas}}"]);
    let mut lines: Vec<&str> = services.ok().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["app_api 2/2", "app_database 1/1", "app_web 2/2"]);
    swarm.wait_answers(0, 8088, 2);
    swarm.wait_answers(1, 8088, 2);
    for name in ["web", "api"] {
        wait_for(&format!("{name} answers inside"), SOON, || {
            let said = stack.within(&format!("wget -qO- http://{name}/"));
            if said.code == 0 { Ok(()) } else { Err(said.err) }
        });
    }
    assert!(stack.within("nslookup db 127.0.0.11").ok().contains("db"));
    assert!(!stack.within("ip addr").ok().contains("172.17."), "an internal network has no way out");
    let seen = stack.within("hostname; cat /run/secrets/password; echo; cat /settings");
    assert_eq!(seen.ok(), "app_database\ngeheim\nlevel=1");

    stack.deploy().ok();
    assert_eq!(swarm.ask(0, &["stack", "ps", "app", "-q"]).ok().lines().count(), 5, "nothing changed");
    stack.write("settings", "level=2");
    let refused = stack.deploy().refused();
    assert!(refused.contains("only updates to Labels are allowed: Data of config app_settings"), "{refused}");

    swarm.ask(0, &["stack", "rm", "app"]).ok();
    wait_for("nothing of the stack is left", SOON, || {
        let containers: usize = (0..2).map(|host| swarm.ask(host, &["ps", "-aq"]).out.lines().count()).sum();
        let left: String = ["network", "secret", "config"]
            .map(|kind| swarm.ask(0, &[kind, "ls", "-q", "--filter", "label=com.docker.stack.namespace=app"]).out)
            .concat();
        if containers == 0 && left.is_empty() { Ok(()) } else { Err(format!("{containers} {left}")) }
    });
}
