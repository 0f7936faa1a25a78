//! `shoal container`: the containers of one host, commands run in them (`exec`) and what they wrote (`logs`).

mod command;
mod exec;
mod list;
mod logs;
mod terminal;

pub(crate) use command::ContainerCommand;
pub(crate) use exec::ExecArgs;
pub(crate) use list::ListArgs;
pub(crate) use logs::LogsArgs;
