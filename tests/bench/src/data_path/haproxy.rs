//! The peer: Debian's HAProxy in TCP mode, on the host whose published port it is compared with.
//!
//! It stands before servers on the host's own network, so nothing of Shoal's data path is in its way.

use super::field::{Field, OTHER_HOST, Port, TASKS_HOST};
use super::limits::PATIENCE;
use super::load::{Running, run_client};
use super::path::{Target, Way};
use shoal_cluster_tests::wait_for;

const PORT: u16 = 9900;

/// A proxy that runs while this is held.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Where it listens.
    pub(super) address: String,
    _process: Running,
}

impl Proxy {
    /// Starts it on the host of this way.
    pub(super) fn start(field: &Field, target: &Target<'_>, way: Way) -> Self {
        let (host, backend) = match way {
            Way::PortAcross => (OTHER_HOST, field.swarm.hosts[TASKS_HOST].address()),
            _ => (TASKS_HOST, "127.0.0.1".to_owned()),
        };
        let config = field.folder().join("haproxy.cfg");
        let text = config_text(&target.plain_addresses(&backend, Port::Byte));
        #[expect(clippy::expect_used, reason = "a measurement that can't go on has failed")]
        std::fs::write(&config, text).expect("the configuration can be written");
        let mut command = field.swarm.hosts[host].command("haproxy");
        command.args(["-db", "-f"]).arg(&config);
        let process = Running::start(&mut command, field.folder().join("haproxy.txt"));
        let address = format!("{}:{PORT}", field.swarm.hosts[host].address());
        let proxy = Self { address, _process: process };
        wait_for("HAProxy answers", PATIENCE, || {
            let said = run_client(&mut field.outside(&["connections", "1", "0", "1", "10", &proxy.address]), 1);
            if said.value("done") > 9.0 { Ok(()) } else { Err(said.text().to_owned()) }
        });
        proxy
    }
}

/// As many threads as there are cores, which is its default.
fn config_text(backends: &[String]) -> String {
    let mut text = format!(
        "global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen peer\n  bind :{PORT}\n  balance roundrobin\n"
    );
    for (number, backend) in backends.iter().enumerate() {
        text.push_str(&format!("  server task{number} {backend}\n"));
    }
    text
}
