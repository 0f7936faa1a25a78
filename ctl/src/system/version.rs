//! `shoal version`: both sides, and the API version that they agreed on.

use serde_json::{Value, json};
use shoal_api::types::SystemVersion;

use super::command::FormatArgs;
use crate::error::{EXIT_DONE, Error};
use crate::limits::{API_VERSION_MAX, API_VERSION_MIN};
use crate::output::Inspection;
use crate::output::console::print;
use crate::transport::Client;

pub(crate) async fn version(args: FormatArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let server: Value = client.get("/version", ACTION).fetch().await?;
    if let Inspection::Pretty = inspection {
        let server: SystemVersion =
            serde_json::from_value(server).map_err(|source| Error::Answer { action: ACTION, source: source.into() })?;
        print(&format!("{}\n{}", client_text(&client.version()), server_text(&server)))?;
    } else {
        let client = json!({
            "Version": env!("CARGO_PKG_VERSION"),
            "ApiVersion": client.version(),
            "DefaultAPIVersion": dotted(API_VERSION_MAX),
            "Os": std::env::consts::OS,
            "Arch": arch(),
        });
        print(&inspection.render(&[json!({ "Client": client, "Server": server })])?)?;
    }
    Ok(EXIT_DONE)
}

/// This side; `agreed` is the API version in use.
pub(crate) fn client_text(agreed: &str) -> String {
    let (oldest, newest) = (dotted(API_VERSION_MIN), dotted(API_VERSION_MAX));
    format!(
        "Client: Shoal\n Version:           {}\n API version:       {agreed} (speaks {oldest} to {newest})\n OS/Arch:           {}/{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        arch(),
    )
}

fn server_text(server: &SystemVersion) -> String {
    let name = if server.platform.name.is_empty() { "Engine" } else { &server.platform.name };
    let mut text = format!(
        "Server: {name}\n Version:           {}\n API version:       {} (minimum version {})\n OS/Arch:           {}/{}\n Kernel:            {}\n",
        server.version, server.api_version, server.min_api_version, server.os, server.arch, server.kernel_version,
    );
    for component in server.components.iter().filter(|component| component.name != "Engine") {
        text += &format!(" {:<18} {}\n", format!("{}:", component.name), component.version);
    }
    text
}

fn dotted(version: (u16, u16)) -> String {
    format!("{}.{}", version.0, version.1)
}

/// This machine as Go names it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

const ACTION: &str = "read the version";
