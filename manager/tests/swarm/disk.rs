//! A disk that fills up: the manager steps down and says why; nothing is lost.

use std::process::Command;

use shoal_manager::log::LogError;
use shoal_manager::{ManagerEnd, ManagerError};

use crate::host::{Swarm, create, leader_of, service_names, soon};

/// A small file system, gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(&path).status();
        assert!(status.unwrap().success());
        Self(path)
    }

    fn fill(&self) {
        let ballast = self.0.join("ballast");
        let full = std::fs::write(&ballast, vec![1; 16 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_whose_disk_is_full_steps_down() {
    let swarm = Swarm::new();
    let mut hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let full = followers[0];
    hosts[full].kill().await;
    let directory = hosts[full].directory.path().join("swarm");
    let aside = hosts[full].directory.path().join("aside");
    std::fs::rename(&directory, &aside).unwrap();
    let disk = SmallDisk::mount(directory.clone());
    assert!(Command::new("cp").arg("-a").arg(aside.join(".")).arg(&directory).status().unwrap().success());
    hosts[full].start(&swarm).await;
    create(&hosts[full].handle(), "before").await.unwrap();
    disk.fill();
    // What is grown ahead takes some writes yet.
    let mut written = 0;
    let mut manager = hosts[full].manager.take().unwrap();
    let writer = hosts[leader].handle();
    let end = {
        let ended = manager.ended();
        tokio::pin!(ended);
        loop {
            let name = format!("service-{written}");
            tokio::select! {
                end = &mut ended => break end,
                created = create(&writer, &name) => {
                    created.unwrap();
                    written += 1;
                }
            }
        }
    };
    assert!(matches!(end, ManagerEnd::Failed(ManagerError::Log(LogError::Full { .. }))), "{end:?}");
    drop(manager);
    create(&writer, "during").await.unwrap();
    disk.empty();
    hosts[full].start(&swarm).await;
    let names = soon("the names", service_names(&hosts[full].handle())).await;
    assert!(names.contains(&"before".to_owned()) && names.contains(&"during".to_owned()));
    hosts[full].kill().await;
}
