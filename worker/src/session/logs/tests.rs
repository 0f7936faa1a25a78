//! The publisher against a manager of the test's own, with containers that say what the test has them say.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{StreamExt, pending, repeat, unfold};
use shoal_proto::grpc::logs_server::{Logs, LogsServer};
use shoal_proto::grpc::{LogsPublished, LogsWantedOfNode, LogsWantedTold};
use shoal_proto::model::{Id, LogOptions, LogResume, ServiceId, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::*;
use crate::container::OutputStream;
use crate::limits::LOG_BATCH_BYTES;
use crate::testing::{Plain, task_id};

/// A container's task, and the times of its lines until they are read.
type Written = (TaskId, Option<mpsc::Receiver<i64>>);

/// Containers with a live log each, and what they were asked.
#[derive(Debug, Default)]
struct Host {
    logs: Mutex<BTreeMap<String, Written>>,
    made: Option<broadcast::Sender<()>>,
    asked: Mutex<Vec<LogQuery>>,
}

impl Host {
    fn new() -> Arc<Self> {
        Arc::new(Self { made: Some(broadcast::channel(8).0), ..Self::default() })
    }

    /// Makes a container of task `n`; it ends when the sender is dropped.
    fn make(&self, n: u128) -> mpsc::Sender<i64> {
        let (says, lines) = mpsc::channel(64);
        self.logs.lock().unwrap().insert(format!("c{n}"), (task_id(n), Some(lines)));
        drop(self.made.as_ref().unwrap().send(()));
        says
    }
}

#[async_trait::async_trait]
impl LogSource for Host {
    fn containers(&self, target: LogTarget) -> Vec<(String, TaskId)> {
        let logs = self.logs.lock().unwrap();
        let all = logs.iter().map(|(id, (task, _))| (id.clone(), *task));
        all.filter(|(_, task)| !matches!(target, LogTarget::Task(wanted) if wanted != *task)).collect()
    }

    fn arrivals(&self) -> BoxStream<'static, ()> {
        let made = self.made.as_ref().unwrap().subscribe();
        unfold(made, |mut made| async move { made.recv().await.ok().map(|()| ((), made)) }).boxed()
    }

    async fn lines(&self, container: &str, query: LogQuery) -> Result<Lines, ContainerError> {
        self.asked.lock().unwrap().push(query);
        let taken = self.logs.lock().unwrap().get_mut(container).unwrap().1.take();
        let lines = taken.ok_or(ContainerError::NoLog)?;
        let next = |mut lines: mpsc::Receiver<i64>| async move {
            let time = lines.recv().await?;
            let line = format!("line {time}\n").into();
            let stream = OutputStream::Stdout;
            Some((Ok(LogRecord { stream, time: Timestamp(time), details: BTreeMap::new(), line }), lines))
        };
        Ok(unfold(lines, next).boxed())
    }
}

/// A manager that hands on what is published to it.
struct Manager {
    address: String,
    calls: mpsc::Receiver<Call>,
    serving: JoinHandle<()>,
}

struct Call {
    batches: Streaming<LogBatch>,
    answer: oneshot::Sender<Result<(), Status>>,
}

struct Service(mpsc::Sender<Call>);

#[tonic::async_trait]
impl Logs for Service {
    async fn want(&self, _: Request<LogsWantedOfNode>) -> Result<Response<LogsWantedTold>, Status> {
        Err(Status::unimplemented("workers are not asked this"))
    }

    async fn publish(&self, request: Request<Streaming<LogBatch>>) -> Result<Response<LogsPublished>, Status> {
        let (answer, answered) = oneshot::channel();
        drop(self.0.send(Call { batches: request.into_inner(), answer }).await);
        answered.await.map_err(|_| Status::cancelled("the test is over"))?.map(|()| Response::new(LogsPublished {}))
    }
}

impl Manager {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (calls_in, calls) = mpsc::channel(4);
        let server = Server::builder().add_service(LogsServer::new(Service(calls_in)));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, calls, serving }
    }

    fn request(&self, target: LogTarget, follow: bool) -> LogRequest {
        let options = LogOptions { follow, stdout: true, stderr: true, tail: Some(3), ..LogOptions::default() };
        LogRequest { id: LogRequestId(7), manager: self.address.clone(), target, options, resume: None }
    }

    async fn call(&mut self) -> Call {
        let call = tokio::time::timeout(LIMIT, self.calls.recv()).await.expect("a publication in time");
        call.expect("the manager serves")
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Call {
    async fn batch(&mut self) -> LogBatch {
        let batch = tokio::time::timeout(LIMIT, self.batches.message()).await.expect("a batch in time");
        batch.unwrap().expect("the publication goes on")
    }

    /// The texts of so many lines.
    async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let batch = self.batch().await;
            lines.extend(batch.lines.iter().map(|line| String::from_utf8(line.text.to_vec()).unwrap()));
        }
        lines
    }
}

/// Starts a publisher of this host.
fn publisher(host: &Arc<Host>) -> (mpsc::Sender<LogRequest>, JoinHandle<()>) {
    let (send, requests) = mpsc::channel(4);
    let source: Arc<dyn LogSource> = host.clone();
    (send, tokio::spawn(LogPublisher { source, connect: Arc::new(Plain), requests }.run()))
}

const LIMIT: Duration = Duration::from_secs(20);

fn service() -> LogTarget {
    LogTarget::Service(ServiceId::from_random(1))
}

#[tokio::test]
async fn what_is_there_is_published_and_the_end_is_said() {
    let (host, mut manager) = (Host::new(), Manager::start().await);
    let says = host.make(1);
    for time in 0..5 {
        says.send(time).await.unwrap();
    }
    drop(says);
    drop(host.make(2));
    host.logs.lock().unwrap().get_mut("c2").unwrap().1 = None;
    let (requests, _running) = publisher(&host);
    requests.send(manager.request(service(), false)).await.unwrap();
    let mut call = manager.call().await;
    assert_eq!(call.batch().await.request_id, 7);
    let (mut lines, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let batch = call.batch().await;
        lines.extend(batch.lines);
        gaps.extend(batch.gaps);
        if batch.last {
            break;
        }
    }
    assert_eq!(lines.iter().map(|line| line.time_ns).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(lines.iter().all(|line| line.task_id == task_id(1).to_string() && !line.is_stderr));
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].task_id == task_id(2).to_string() && gaps[0].reason.contains("does not support reading"));
    assert!(host.asked.lock().unwrap().iter().all(|query| query.tail == Some(3) && query.since.is_none()));
}

#[tokio::test]
async fn following_takes_in_containers_to_come_until_the_manager_wants_no_more() {
    let (host, mut manager) = (Host::new(), Manager::start().await);
    let first = host.make(1);
    let (requests, _running) = publisher(&host);
    requests.send(manager.request(service(), true)).await.unwrap();
    // The same again is the same publication.
    requests.send(manager.request(service(), true)).await.unwrap();
    let mut call = manager.call().await;
    first.send(1).await.unwrap();
    assert_eq!(call.lines(1).await, ["line 1\n"]);
    let second = host.make(2);
    second.send(2).await.unwrap();
    assert_eq!(call.lines(1).await, ["line 2\n"]);
    assert_eq!(host.asked.lock().unwrap().last().unwrap().tail, None, "of a new container everything is wanted");
    drop(first);
    second.send(3).await.unwrap();
    assert_eq!(call.lines(1).await, ["line 3\n"]);
    call.answer.send(Ok(())).unwrap();
    tokio::time::timeout(LIMIT, second.closed()).await.expect("nobody reads on");
    assert!(manager.calls.try_recv().is_err(), "there was one publication");
}

#[tokio::test]
async fn a_task_that_ended_ends_its_publication_and_a_resumed_one_goes_on_where_it_was() {
    let (host, mut manager) = (Host::new(), Manager::start().await);
    let (requests, _running) = publisher(&host);
    let resume = LogResume { begun: Timestamp(50), after: BTreeMap::from([(task_id(1), Timestamp(70))]) };
    let request = LogRequest { resume: Some(resume), ..manager.request(LogTarget::Task(task_id(1)), true) };
    requests.send(request).await.unwrap();
    let mut call = manager.call().await;
    assert!(call.batch().await.lines.is_empty());
    let says = host.make(1);
    says.send(71).await.unwrap();
    drop(says);
    assert_eq!(call.lines(1).await, ["line 71\n"]);
    assert!(call.batch().await.last);
    drop(host.make(2));
    let (known, later) = (LogTarget::Task(task_id(1)), LogTarget::Task(task_id(2)));
    for (id, target, since) in [(8, known, 71), (9, later, 50)] {
        let resume = LogResume { begun: Timestamp(50), after: BTreeMap::from([(task_id(1), Timestamp(70))]) };
        let id = LogRequestId(id);
        requests.send(LogRequest { id, resume: Some(resume), ..manager.request(target, false) }).await.unwrap();
        let mut call = manager.call().await;
        while !call.batch().await.last {}
        let asked = host.asked.lock().unwrap().last().cloned().unwrap();
        assert_eq!((asked.since, asked.tail), (Some(Timestamp(since)), None));
    }
}

/// A container that never stops writing.
#[derive(Debug, Default)]
struct Flood(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl LogSource for Flood {
    fn containers(&self, _: LogTarget) -> Vec<(String, TaskId)> {
        vec![("c1".to_owned(), task_id(1))]
    }

    fn arrivals(&self) -> BoxStream<'static, ()> {
        pending().boxed()
    }

    async fn lines(&self, _: &str, _: LogQuery) -> Result<Lines, ContainerError> {
        let read = Arc::clone(&self.0);
        let line = move |()| {
            assert!(read.fetch_add(1, Ordering::Relaxed) < 1 << 20, "nobody takes this, and it is read");
            let (stream, line) = (OutputStream::Stdout, "a line of some length\n".into());
            Ok(LogRecord { stream, time: Timestamp(1), details: BTreeMap::new(), line })
        };
        Ok(repeat(()).map(line).boxed())
    }
}

#[test]
fn what_is_not_taken_is_not_read() {
    let flood = Arc::new(Flood::default());
    let read = Arc::clone(&flood.0);
    let options = LogOptions { follow: true, stdout: true, ..LogOptions::default() };
    let request = LogRequest { id: LogRequestId(1), manager: String::new(), target: service(), options, resume: None };
    let (batches, _nobody_takes) = mpsc::channel(LOG_BATCHES_WAITING);
    let held_up = Reading::new(flood, &request).send(batches).now_or_never().is_none();
    let bytes = read.load(Ordering::Relaxed) * "a line of some length\n".len();
    assert!(held_up && bytes > 0 && bytes <= (LOG_BATCHES_WAITING + 1) * LOG_BATCH_BYTES, "{bytes}");
}
