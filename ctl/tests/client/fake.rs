//! A daemon's API made of a closure: an HTTP/1.1 server on a unix socket in a temporary folder, which keeps every
//! request that it got. Also runs clients against it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the version, with the query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path() == path
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// What happens to a connection that was taken over.
pub(crate) type TakeOver = Box<dyn FnOnce(UnixStream) + Send>;

pub(crate) enum Answer {
    Json(u16, Value),
    /// Raw bytes of a stream, and then its end.
    Bytes(Vec<u8>),
    TakenOver(TakeOver),
}

pub(crate) fn ok(value: Value) -> Answer {
    Answer::Json(200, value)
}

pub(crate) fn refuse(status: u16, message: &str) -> Answer {
    Answer::Json(status, json!({ "message": message }))
}

/// The server; it ends with the test's process.
pub(crate) struct Fake {
    folder: TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub(crate) fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("api.sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (handler, kept) = (Arc::new(handler), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, kept) = (Arc::clone(&handler), Arc::clone(&kept));
                thread::spawn(move || serve(stream.unwrap(), &*handler, &kept));
            }
        });
        Self { folder, requests }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    /// A command that speaks to this server and reads no configuration of the machine.
    pub(crate) fn client(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        command.env("HOME", self.folder.path()).env("DOCKER_CONFIG", self.folder.path()).env("FROM_CALLER", "yes");
        command
    }

    pub(crate) fn shoal(&self, arguments: &[&str]) -> Output {
        self.client(Path::new(SHOAL)).args(arguments).output().unwrap()
    }

    /// Forgets the requests so far and returns them.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

pub(crate) const SHOAL: &str = env!("CARGO_BIN_EXE_shoal");

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The stock client; without one there is nothing to compare with.
pub(crate) fn docker() -> PathBuf {
    let folders = std::env::var("PATH").unwrap();
    let found = folders.split(':').map(|folder| Path::new(folder).join("docker")).find(|path| path.exists());
    found.expect("the stock docker client is on the PATH (Debian: apt-get install docker.io)")
}

fn serve(stream: UnixStream, handler: &dyn Fn(&Request) -> Answer, kept: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        if request.path() == "/_ping" {
            let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n";
            writer.write_all(head.as_bytes()).unwrap();
            continue;
        }
        kept.lock().unwrap().push(request.clone());
        let written = match handler(&request) {
            Answer::Json(status, value) => {
                let body = if value.is_null() { String::new() } else { value.to_string() };
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
                writer.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            }
            Answer::Bytes(bytes) => {
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_bytes();
                let written = writer.write_all(&[head, &bytes].concat());
                drop(writer.shutdown(std::net::Shutdown::Write));
                written
            }
            Answer::TakenOver(play) => {
                let head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
                writer.write_all(head.as_bytes()).unwrap();
                play(writer);
                return;
            }
        };
        // A client that was stopped reads no further answer.
        if written.is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<UnixStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let target = match target.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..])) {
        Some(bare) => bare.to_owned(),
        None => target,
    };
    Some(Request { method, target, body })
}
