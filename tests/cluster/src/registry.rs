//! A real registry (Debian's docker-registry) on a host of the test network, and the image that tests run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::Lan;
use crate::run::{run, wait_for};

/// A registry in a namespace of its own.
#[derive(Debug)]
pub struct Registry {
    lan: Rc<Lan>,
    number: usize,
    address: String,
    folder: PathBuf,
    child: Child,
}

impl Registry {
    /// Starts it on host `number`, port 5000, with its files below `folder`, and builds the web server that its images
    /// hold.
    ///
    /// # Panics
    /// When docker-registry, cc or curl are missing, or the registry does not answer.
    #[must_use]
    pub fn start(lan: &Rc<Lan>, number: usize, folder: &Path) -> Self {
        let address = format!("{}:5000", lan.address(number));
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            folder.join("registry").display()
        );
        std::fs::write(&config, text).expect("the configuration can be written");
        let log = std::fs::File::create(folder.join("registry.log")).expect("the log can be made");
        let child = lan
            .command(number, "docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log)
            .spawn()
            .expect("docker-registry can be started");
        compile(&demo().join("web.c"), &folder.join("web"));
        compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/idle.c"), &folder.join("idle"));
        let registry = Self { lan: Rc::clone(lan), number, address, folder: folder.to_owned(), child };
        wait_for("the registry answers", Duration::from_secs(20), || {
            let url = format!("http://{}/v2/", registry.address);
            let answer = run(registry.command("curl").args(["-sf", "--noproxy", "*", &url]), Duration::from_secs(5));
            if answer.code == 0 { Ok(()) } else { Err(answer.err) }
        });
        registry
    }

    /// Makes `NAME:TAG` of the web server, which answers `HOSTNAME SLOT TAG`, and pushes it.
    ///
    /// # Panics
    /// When the registry refuses.
    pub fn push_web(&self, name: &str, tag: &str) -> String {
        self.push("web", name, tag)
    }

    /// Makes `NAME:TAG` of a program that waits for its end, and pushes it.
    ///
    /// # Panics
    /// When the registry refuses.
    pub fn push_idle(&self, name: &str, tag: &str) -> String {
        self.push("idle", name, tag)
    }

    /// Makes `NAME:TAG` of Debian's static busybox, with all its commands in /bin, and pushes it.
    ///
    /// # Panics
    /// When busybox-static is not installed, or the registry refuses.
    pub fn push_shell(&self, name: &str, tag: &str) -> String {
        self.push("/bin/busybox", name, tag)
    }

    /// A program of the folder, or one given by its whole path.
    fn push(&self, program: &str, name: &str, tag: &str) -> String {
        let script = demo().join("image.sh");
        let program = self.folder.join(program).to_string_lossy().into_owned();
        let arguments = [program, self.address.clone(), name.into(), tag.into()];
        run(self.command("bash").arg(script).args(&arguments), Duration::from_secs(30)).ok();
        format!("{}/{name}:{tag}", self.address)
    }

    fn command(&self, program: &str) -> Command {
        self.lan.command(self.number, program)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the registry could not be ended: {error}");
        }
    }
}

/// The demonstration's image is the tests' too.
fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo")
}

fn compile(source: &Path, program: &Path) {
    run(Command::new("cc").args(["-static", "-O2", "-o"]).arg(program).arg(source), Duration::from_secs(30)).ok();
}
