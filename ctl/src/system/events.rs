//! `shoal events`: what happens, as it happens.

use clap::Args;
use serde_json::Value;
use shoal_api::types::EventMessage;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::error::{EXIT_DONE, Error};
use crate::flags::moment::seconds;
use crate::flags::pair::{Filter, to_filters};
use crate::output::Inspection;
use crate::output::console::{print, print_line};
use crate::transport::Client;
use crate::transport::stream::JsonStream;

#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Format output: 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show all events created since timestamp
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "string")]
    until: Option<String>,
}

pub(crate) async fn events(args: EventsArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let now = OffsetDateTime::now_utc();
    let mut call = client.get("/events", ACTION).filters(&to_filters(&args.filter));
    if let Some(since) = &args.since {
        call = call.query("since", seconds("since", since, now)?);
    }
    if let Some(until) = &args.until {
        call = call.query("until", seconds("until", until, now)?);
    }
    let mut stream = JsonStream::new(call.answer().await?.into_body(), ACTION);
    while let Some(event) = stream.next::<Value>().await? {
        if let Inspection::Pretty = inspection {
            let event = serde_json::from_value(event)
                .map_err(|source| Error::Answer { action: ACTION, source: source.into() })?;
            print_line(&line(&event))?;
        } else {
            print(&inspection.render(&[event])?)?;
        }
    }
    Ok(EXIT_DONE)
}

/// `TIME TYPE ACTION ID (key=value, ...)`.
fn line(event: &EventMessage) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(event.time_nano.into());
    let time = moment.ok().and_then(|moment| moment.format(LAYOUT).ok()).unwrap_or_else(|| event.time.to_string());
    let mut text = format!("{time} {} {} {}", event.kind, event.action, event.actor.id);
    let attributes: Vec<String> = event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if !attributes.is_empty() {
        text += &format!(" ({})", attributes.join(", "));
    }
    text
}

const ACTION: &str = "read the events";

/// RFC 3339 with all nine digits, so that the lines stand below each other.
const LAYOUT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event: EventMessage = serde_json::from_str(
            r#"{"Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"name":"c1","image":"web"}},"time":1,"timeNano":1500000000}"#,
        )
        .unwrap();
        assert_eq!(line(&event), "1970-01-01T00:00:01.500000000Z container start abc (image=web, name=c1)");
    }
}
