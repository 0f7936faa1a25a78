//! `ls` and `inspect` of secrets and configs.

use std::fmt::{self, Write};

use clap::Args;
use serde_json::Value;
use shoal_api::types::{Config, Secret};
use time::OffsetDateTime;

use super::command::Kind;
use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::{Inspection, Listing, Row, human};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string", conflicts_with = "pretty")]
    format: Option<String>,
    /// Print the information in a human friendly format
    #[arg(long)]
    pretty: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "NAME|ID")]
    names: Vec<String>,
}

pub(super) async fn list(kind: Kind, flags: ListFlags, client: &Client) -> Result<u8, Error> {
    let action = kind.choose("list the secrets", "list the configs");
    // A list shows no content, so that one type serves both.
    let all: Vec<Secret> = client.get(kind.path(), action).filters(&flags.filters()).fetch().await?;
    print(&listing(kind, all, OffsetDateTime::now_utc()).render(&flags.style())?)?;
    Ok(EXIT_DONE)
}

fn listing(kind: Kind, mut all: Vec<Secret>, now: OffsetDateTime) -> Listing {
    all.sort_by(|left, right| natural(&left.spec.name, &right.spec.name));
    let ago = |moment: OffsetDateTime| format!("{} ago", human::lasting((now - moment).whole_seconds()));
    let row = |one: &Secret| {
        let labels: Vec<String> = one.spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Row::default()
            .with("ID", &one.id)
            .with("Name", &one.spec.name)
            .with("Driver", one.spec.driver.as_ref().map_or("", |driver| &driver.name))
            .with("CreatedAt", ago(one.created_at.0))
            .with("UpdatedAt", ago(one.updated_at.0))
            .with("Labels", labels.join(","))
    };
    let mut table = vec![("ID", "ID"), ("Name", "NAME"), ("CreatedAt", "CREATED"), ("UpdatedAt", "UPDATED")];
    if kind == Kind::Secret {
        table.insert(2, ("Driver", "DRIVER"));
    }
    Listing { table, further: vec![("Labels", "LABELS")], identifier: "ID", rows: all.iter().map(row).collect() }
}

pub(super) async fn inspect(kind: Kind, args: InspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let action = kind.choose("inspect the secret", "inspect the config");
    let mut found: Vec<Value> = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match client.get(format!("{}/{name}", kind.path()), action).fetch().await {
            Ok(one) => found.push(one),
            Err(error) => failures.push(error),
        }
    }
    if args.pretty {
        for one in found {
            let one: Config =
                serde_json::from_value(one).map_err(|source| Error::Answer { action, source: source.into() })?;
            print(&pretty(kind, &one))?;
        }
    } else {
        print(&inspection.render(&found)?)?;
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

fn pretty(kind: Kind, one: &Config) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_pretty(&mut text, kind, one);
    text
}

fn write_pretty(out: &mut String, kind: Kind, one: &Config) -> fmt::Result {
    writeln!(out, "ID:\t\t\t{}\nName:\t\t\t{}", one.id, one.spec.name)?;
    if !one.spec.labels.is_empty() {
        writeln!(out, "Labels:")?;
        one.spec.labels.iter().try_for_each(|(key, value)| writeln!(out, " - {key}={value}"))?;
    }
    let (created, updated) = (human::moment(one.created_at.0), human::moment(one.updated_at.0));
    writeln!(out, "Created at:\t\t{created}\nUpdated at:\t\t{updated}")?;
    if kind == Kind::Config {
        writeln!(out, "Data:\n{}", String::from_utf8_lossy(&one.spec.data.0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;

    fn secrets() -> Vec<Secret> {
        let secret = |id: &str, name: &str| {
            let mut secret = Secret { id: id.into(), ..Secret::default() };
            secret.spec.name = name.into();
            secret.created_at.0 = OffsetDateTime::UNIX_EPOCH;
            secret.updated_at.0 = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(60);
            secret
        };
        vec![secret("bbbbbbbbbbbbbbbbbbbbbbbbb", "key10"), secret("aaaaaaaaaaaaaaaaaaaaaaaaa", "key2")]
    }

    #[test]
    fn the_tables_have_dockers_layout() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(180);
        let shown = |kind| listing(kind, secrets(), now).render(&Style::Table).unwrap();
        insta::assert_snapshot!(shown(Kind::Secret), @r"
        ID                          NAME      DRIVER    CREATED         UPDATED
        aaaaaaaaaaaaaaaaaaaaaaaaa   key2                3 minutes ago   2 minutes ago
        bbbbbbbbbbbbbbbbbbbbbbbbb   key10               3 minutes ago   2 minutes ago
        ");
        insta::assert_snapshot!(shown(Kind::Config), @r"
        ID                          NAME      CREATED         UPDATED
        aaaaaaaaaaaaaaaaaaaaaaaaa   key2      3 minutes ago   2 minutes ago
        bbbbbbbbbbbbbbbbbbbbbbbbb   key10     3 minutes ago   2 minutes ago
        ");
    }

    #[test]
    fn a_config_is_shown_with_its_content() {
        let mut config = Config { id: "c".into(), ..Config::default() };
        config.spec.name = "web.conf".into();
        config.spec.data = b"port 80".to_vec().into();
        config.spec.labels.insert("a".into(), "b".into());
        let text = pretty(Kind::Config, &config);
        assert!(text.starts_with("ID:\t\t\tc\nName:\t\t\tweb.conf\nLabels:\n - a=b\nCreated at:"), "{text}");
        assert!(text.ends_with("Data:\nport 80\n"), "{text}");
        assert!(!pretty(Kind::Secret, &config).contains("port 80"));
    }
}
