//! Jobs: tasks that are to end well, so many in all or one a node, and clients that wait for it.

use std::time::Duration;

use shoal_cluster_tests::{Client, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(40);

#[test]
fn clients_return_when_a_job_is_done() {
    let swarm = Swarm::new(Client::Docker, 1, 1);
    let registry = swarm.start_registry();
    let shell = registry.push_shell("shell", "1");
    for (client, done) in [(Client::Docker, "job complete"), (Client::Shoal, "job: complete")] {
        let ask = |arguments: &[&str]| swarm.hosts[0].client(client, arguments);
        let replicas = |name: &str| {
            let list =
                ask(&["service", "ls", "--filter", &format!("name={name}"), "--format", "{{.Mode}} {{.Replicas}}"]);
            list.ok().to_owned()
        };
        let create = ["service", "create", "--mode", "replicated-job", "--replicas", "5", "--max-concurrent", "2"];
        let script = "test -n \"$SLOT\"";
        let rest = ["--name", "many", "--env", "SLOT={{.Task.Slot}}", &shell, "sh", "-c", script];
        let said = ask(&[&create[..], &rest].concat());
        assert!(said.ok().contains(done), "{client:?}: {}", said.out);
        assert_eq!(replicas("many"), "replicated job 0/2 (5/5 completed)");

        let create = ["service", "create", "--mode", "global-job", "--name", "each", &shell, "true"];
        let said = ask(&create);
        assert!(said.ok().contains(done), "{client:?}: {}", said.out);
        assert_eq!(replicas("each"), "global job 0/0 (2/2 completed)");

        ask(&["service", "update", "-d", "--force", "many"]).ok();
        wait_for("all of the job is done again", SOON, || {
            let format = ["--format", "{{.DesiredState}} {{.CurrentState}}"];
            let tasks = ask(&[&["service", "ps", "many"], &format[..]].concat());
            let done = tasks.out.lines().filter(|line| line.starts_with("Complete Complete ")).count();
            let replicas = replicas("many");
            if done == 5 && replicas.contains("(5/5 completed)") { Ok(()) } else { Err(tasks.out + &replicas) }
        });
        ask(&["service", "rm", "many", "each"]).ok();
    }
}

#[test]
fn a_job_that_fails_is_tried_again_as_often_as_it_may_be() {
    let swarm = Swarm::new(Client::Docker, 1, 0);
    let registry = swarm.start_registry();
    let shell = registry.push_shell("shell", "1");
    let create = ["service", "create", "-d", "--mode", "replicated-job", "--name", "bad", "--restart-delay", "10ms"];
    swarm.ask(0, &[&create[..], &["--restart-max-attempts", "2", &shell, "false"]].concat()).ok();
    let states = || {
        let tasks = swarm.ask(0, &["service", "ps", "bad", "--format", "{{.DesiredState}} {{.CurrentState}}"]);
        tasks.out.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    wait_for("three attempts have failed", SOON, || {
        let states = states();
        let failed = states.iter().filter(|state| state.ends_with(" Failed")).count();
        if failed == 3 && states.len() == 3 { Ok(()) } else { Err(format!("{states:?}")) }
    });
}
