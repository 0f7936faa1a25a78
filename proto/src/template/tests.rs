//! What templates come to, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::model::Labels;

fn context() -> TaskContext {
    TaskContext {
        service_id: "sid".to_owned(),
        service_name: "web".to_owned(),
        service_labels: Labels::from([("tier".to_owned(), "front".to_owned()), ("a.b".to_owned(), "c".to_owned())]),
        node_id: "nid".to_owned(),
        node_hostname: "host1".to_owned(),
        node_architecture: "x86_64".to_owned(),
        node_os: "linux".to_owned(),
        task_id: "tid".to_owned(),
        task_name: "web.1.tid".to_owned(),
        task_slot: "1".to_owned(),
    }
}

struct Payloads;

impl PayloadSource for Payloads {
    fn env(&self, name: &str) -> String {
        if name == "MODE" { "fast".to_owned() } else { String::new() }
    }

    fn secret(&self, target: &str) -> Result<String, TemplateError> {
        Ok(format!("<{target}>"))
    }

    fn config(&self, target: &str) -> Result<String, TemplateError> {
        Err(TemplateError::NoPayload { kind: "config", target: target.to_owned() })
    }
}

fn expanded(text: &str) -> Result<String, TemplateError> {
    Template::parse(text, Scope::Payload)?.expand_payload(&context(), &Payloads)
}

#[test]
fn actions_are_replaced() {
    for (text, wanted) in [
        ("plain { } text", "plain { } text"),
        ("{{.Service.ID}} {{ .Service.Name }}", "sid web"),
        ("{{.Node.ID}}/{{.Node.Hostname}}/{{.Node.Platform}}", "nid/host1/{x86_64 linux}"),
        ("{{.Node.Platform.OS}}-{{.Node.Platform.Architecture}}", "linux-x86_64"),
        ("{{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}", "tid web.1.tid 1"),
        ("{{.Service.Labels.tier}} {{index .Service.Labels \"a.b\"}}", "front c"),
        ("{{.Service.Labels}}", "map[a.b:c tier:front]"),
        ("{{join \"-\" .Service.Name \"x\" `y`}}", "web-x-y"),
        ("{{env \"MODE\"}}{{env \"NONE\"}} {{ secret \"key\" }}", "fast <key>"),
        ("{{\"MODE\" | env}} {{ secret (env \"MODE\") }}", "fast <fast>"),
        ("a \n {{- \"b\" -}} \n c", "abc"),
        ("a{{/* }} no action */}}b", "ab"),
        ("{{\"}} \\\"quoted\\\"\"}}", "}} \"quoted\""),
    ] {
        assert_eq!(expanded(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn refusals_name_the_fault_and_what_is_there() {
    for (text, words) in [
        ("{{.Task.Slot", "'{{.Task.Slot' is never closed"),
        ("{{.Nope}}", "there is no field .Nope; the fields are .Service.ID, "),
        ("{{.Service.Labels.a.b}}", "there is no field .Service.Labels.a.b"),
        ("{{.Service.Labels.none}}", "the service has no label 'none'"),
        ("{{range .Service.Labels}}{{end}}", "there is no function 'range'; the functions here are env, secret"),
        ("{{env}}", "'env' takes the name of a variable"),
        ("{{index .Service.Name \"x\"}}", "'index' takes .Service.Labels and a key"),
        ("{{config \"x\"}}", "config target x not found"),
        ("{{}}", "'{{}}' is not understood"),
        ("{{$x := 1}}", "is not understood"),
        ("{{.Task.ID .Task.ID}}", "is not understood"),
    ] {
        let error = expanded(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let error = Template::parse("{{env \"X\"}}", Scope::Spec).unwrap_err().to_string();
    assert_eq!(error, "there is no function 'env'; the functions here are join and index");
    let deep = format!("{{{{{}}}}}", "(".repeat(100_000));
    assert!(matches!(expanded(&deep), Err(TemplateError::Syntax(_))));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\{\\{|\\}\\}|[ -~]|\"|\\.Task\\.ID|é){0,30}") {
        let _expanded_or_not = expanded(&text);
    }

    #[test]
    fn text_without_braces_stays(text in "[^{]*") {
        prop_assert_eq!(expanded(&text), Ok(text));
    }
}
