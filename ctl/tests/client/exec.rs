//! `shoal exec` over a connection that it takes over.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::fake::{Answer, Fake, Request, SHOAL, ok, refuse, text};

/// A daemon with the container `c`, in which `play` acts the command, and the given exit code.
fn daemon(play: impl Fn(UnixStream) + Send + Sync + Clone + 'static, state: Value) -> Fake {
    Fake::start(move |request: &Request| match (request.method.as_str(), request.path()) {
        ("POST", "/containers/c/exec") => Answer::Json(201, json!({"Id": "e1"})),
        ("POST", "/exec/e1/start") if request.json()["Detach"] == json!(true) => ok(Value::Null),
        ("POST", "/exec/e1/start") => {
            let play = play.clone();
            Answer::TakenOver(Box::new(play))
        }
        ("GET", "/exec/e1/json") => ok(state.clone()),
        ("POST", "/exec/e1/resize") => ok(Value::Null),
        _ => refuse(404, "No such container: other"),
    })
}

fn frame(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[channel, 0, 0, 0], &length[..], bytes].concat()
}

fn run(fake: &Fake, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = fake.client(Path::new(SHOAL));
    command.arg("exec").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A command that does not read its input lets it break.
        drop(stdin.write_all(&input));
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

/// Reads to the end of input, and only then answers: it hangs unless the client closes its half.
fn echo(mut stream: UnixStream) {
    let mut input = Vec::new();
    stream.read_to_end(&mut input).unwrap();
    let answer = [frame(1, &input), frame(2, b"done\n")].concat();
    // In pieces that cut headers and contents anywhere.
    for piece in answer.chunks(4093) {
        stream.write_all(piece).unwrap();
    }
}

#[test]
fn input_is_half_closed_and_the_exit_code_taken_over() {
    let fake = daemon(echo, json!({"ExitCode": 7, "Running": false}));
    let input: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let output =
        run(&fake, &["-i", "-e", "A=1", "-e", "FROM_CALLER", "-w", "/w", "-u", "me", "c", "cat", "-u"], &input);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(output.stdout == input, "{} bytes of {} came back", output.stdout.len(), input.len());
    assert_eq!(text(&output.stderr), "done\n");
    let requests = fake.take();
    let spec = requests.iter().find(|request| request.is("POST", "/containers/c/exec")).unwrap().json();
    assert_eq!(spec["Cmd"], json!(["cat", "-u"]));
    assert_eq!(spec["Env"], json!(["A=1", "FROM_CALLER=yes"]));
    assert_eq!((&spec["AttachStdin"], &spec["WorkingDir"], &spec["User"]), (&json!(true), &json!("/w"), &json!("me")));
}

#[test]
fn without_interactive_the_input_is_left_alone() {
    let play = |mut stream: UnixStream| stream.write_all(&frame(1, b"out")).unwrap();
    let fake = daemon(play, json!({"ExitCode": 0}));
    let output = run(&fake, &["c", "ls"], b"never read");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "out"));
}

#[test]
fn a_terminal_is_raw_bytes() {
    let play = |mut stream: UnixStream| stream.write_all(b"\x01raw\r\n").unwrap();
    let fake = daemon(play, json!({"ExitCode": 130}));
    let output = run(&fake, &["-t", "c", "sh"], b"");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(130), &b"\x01raw\r\n"[..]));
    let output = run(&fake, &["-it", "c", "sh"], b"");
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).starts_with("error: the input device is not a TTY\nhint: "));
}

#[test]
fn a_command_that_ends_before_its_input_is_no_failure() {
    let play = |mut stream: UnixStream| {
        stream.write_all(&frame(1, b"enough\n")).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    };
    let fake = daemon(play, json!({"ExitCode": 3}));
    let output = run(&fake, &["-i", "c", "head"], &vec![b'x'; 1 << 20]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "enough\n"));
}

#[test]
fn detached_returns_at_once() {
    let fake = daemon(echo, json!({"Running": true}));
    let output = run(&fake, &["-d", "c", "sleep", "9"], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn failures_have_dockers_codes() {
    let fake = daemon(echo, Value::Null);
    let output = run(&fake, &["other", "ls"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("No such container: other\nhint: `shoal ps --all`"),
        "{}",
        text(&output.stderr)
    );
    let fake = daemon(
        |mut stream| stream.write_all(&frame(3, b"exec: \"nope\": executable file not found in $PATH")).unwrap(),
        Value::Null,
    );
    assert_eq!(run(&fake, &["c", "nope"], b"").status.code(), Some(127));
    assert_eq!(run(&fake, &["c"], b"").status.code(), Some(125));
}
