//! A registry in a few lines, every answer of which a test may replace; and a client that pushes to a real one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::super::{
    Digest,
    fixture::{OCI_MANIFEST, TestImage},
};

/// A request as a test sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    pub(super) cut: Option<usize>,
    /// The connection stays open and silent after the body.
    pub(super) hang: bool,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, hang: false }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Media type and bytes, by path.
type Content = HashMap<String, (String, Vec<u8>)>;
type Hook = Arc<dyn Fn(&Seen, usize) -> Option<Reply> + Send + Sync>;

/// A server that a test fills.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: String,
    content: Arc<Mutex<Content>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    hook: Hook,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(|_, _| None).await
    }

    /// `hook` is given each request and how many of that path came before; what it returns is the answer.
    pub(super) async fn with(hook: impl Fn(&Seen, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, content: Arc::default(), seen: Arc::default(), hook: Arc::new(hook) };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    pub(super) fn put(&self, repository: &str, tag: &str, image: &TestImage) {
        for blob in image.blobs() {
            self.put_blob(repository, blob);
        }
        self.put_manifest(repository, tag, OCI_MANIFEST, &image.manifest);
    }

    pub(super) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let path = format!("/v2/{repository}/blobs/{}", Digest::sha256(bytes));
        self.content.lock().unwrap().insert(path, ("application/octet-stream".into(), bytes.to_vec()));
    }

    pub(super) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        for name in [tag, Digest::sha256(bytes).as_str()] {
            let path = format!("/v2/{repository}/manifests/{name}");
            self.content.lock().unwrap().insert(path, (media_type.into(), bytes.to_vec()));
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests for blobs, by digest.
    pub(super) fn blob_requests(&self) -> Vec<String> {
        self.seen().iter().filter_map(|seen| Some(seen.path.split_once("/blobs/")?.1.to_owned())).collect()
    }

    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let seen = read_request(&mut stream).await?;
        let before = {
            let mut all = self.seen.lock().unwrap();
            all.push(seen.clone());
            all.iter().filter(|other| other.path == seen.path).count() - 1
        };
        let reply = (self.hook)(&seen, before).unwrap_or_else(|| self.stored(&seen));
        let mut head =
            format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.ok()?;
        let length = reply.cut.unwrap_or(reply.body.len());
        stream.write_all(&reply.body[..length]).await.ok()?;
        stream.flush().await.ok()?;
        if reply.hang {
            // Until the client goes.
            let _ = stream.read(&mut [0]).await;
        }
        stream.shutdown().await.ok()
    }

    fn stored(&self, seen: &Seen) -> Reply {
        let content = self.content.lock().unwrap();
        let Some((media_type, bytes)) = content.get(&seen.path) else {
            return Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#);
        };
        let from = seen
            .header("range")
            .strip_prefix("bytes=")
            .and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
        let reply = match from {
            Some(from) => Reply::new(206, &bytes[from..])
                .header("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
            None => Reply::new(200, bytes.clone()),
        };
        reply.header("Content-Type", media_type.clone())
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
