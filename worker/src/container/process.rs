//! What runs in a container: command, user, rights and limits, from the spec, the image and the host's defaults.

use std::time::Duration;

use shoal_proto::model::{ContainerSpec, HealthCheck, Ulimit};
use shoal_runtime::capability::Capabilities;
use shoal_runtime::seccomp::SeccompProfile;
use shoal_runtime::signal::Signal;
use shoal_runtime::spec::{ProcessSpec, Rlimit, RlimitKind};

use super::ContainerError;
use super::environment::environment;
use crate::image::{ContainerConfig, Healthcheck};

/// The image's configuration with the spec's merged in, as `inspect` shows it.
pub(super) fn merge(image: &ContainerConfig, spec: &ContainerSpec, hostname: &str) -> ContainerConfig {
    let mut merged = image.clone();
    merged.env = environment(&image.env, &spec.env, hostname, spec.tty);
    if !spec.command.is_empty() {
        merged.entrypoint = Some(spec.command.clone());
        // The image's arguments were meant for its own entrypoint.
        merged.cmd = None;
    }
    if !spec.args.is_empty() {
        merged.cmd = Some(spec.args.clone());
    }
    if let Some(user) = &spec.user {
        merged.user.clone_from(user);
    }
    if let Some(dir) = &spec.dir {
        merged.working_dir.clone_from(dir);
    }
    if let Some(signal) = &spec.stop_signal {
        merged.stop_signal.clone_from(signal);
    }
    merged.labels.extend(spec.labels.clone());
    if let Some(wished) = &spec.health_check {
        merged.healthcheck = Some(merge_health(image.healthcheck.clone().unwrap_or_default(), wished));
    }
    merged
}

/// The image's check with what the spec says of it.
fn merge_health(mut image: Healthcheck, wished: &HealthCheck) -> Healthcheck {
    if !wished.test.is_empty() {
        image.test.clone_from(&wished.test);
    }
    let set = |known: &mut i64, wished: Duration| {
        if !wished.is_zero() {
            *known = i64::try_from(wished.as_nanos()).unwrap_or(i64::MAX);
        }
    };
    set(&mut image.interval, wished.interval);
    set(&mut image.timeout, wished.timeout);
    set(&mut image.start_period, wished.start_period);
    set(&mut image.start_interval, wished.start_interval);
    if wished.retries > 0 {
        image.retries = i64::from(wished.retries);
    }
    image
}

/// The process that the merged configuration asks for.
pub(super) fn process(
    merged: &ContainerConfig,
    spec: &ContainerSpec,
    default_ulimits: &[Ulimit],
) -> Result<ProcessSpec, ContainerError> {
    let words = merged.entrypoint.iter().flatten().chain(merged.cmd.iter().flatten());
    let args: Vec<String> = words.cloned().collect();
    if args.is_empty() {
        return Err(ContainerError::NoCommand(spec.image.clone()));
    }
    let mut process = ProcessSpec::new(args);
    process.env.clone_from(&merged.env);
    if !merged.working_dir.is_empty() {
        if !merged.working_dir.starts_with('/') {
            return Err(ContainerError::invalid("working directory", &merged.working_dir, "give an absolute path"));
        }
        process.cwd.clone_from(&merged.working_dir);
    }
    process.user.clone_from(&merged.user);
    process.additional_groups.clone_from(&spec.groups);
    process.capabilities = Capabilities::adjusted(&spec.capability_add, &spec.capability_drop)
        .map_err(|error| ContainerError::invalid("capability", &error.value, "name one as CAP_NET_ADMIN, or ALL"))?;
    process.no_new_privileges = spec.privileges.no_new_privileges;
    process.rlimits = rlimits(&spec.ulimits, default_ulimits)?;
    process.oom_score_adj = (spec.oom_score_adj != 0).then_some(spec.oom_score_adj);
    process.terminal = spec.tty;
    process.open_stdin = spec.open_stdin;
    Ok(process)
}

/// The signal that asks the process to end.
pub(super) fn stop_signal(merged: &ContainerConfig) -> Result<Signal, ContainerError> {
    if merged.stop_signal.is_empty() {
        return Ok(shoal_runtime::defaults::STOP_SIGNAL);
    }
    parse_signal(&merged.stop_signal)
}

/// A signal by name or number.
pub(super) fn parse_signal(text: &str) -> Result<Signal, ContainerError> {
    Signal::parse(text).map_err(|_| ContainerError::invalid("stop signal", text, "name one as SIGTERM or 15"))
}

/// The system calls that the process may make.
pub(super) fn seccomp(spec: &ContainerSpec) -> Result<SeccompProfile, ContainerError> {
    if spec.privileges.seccomp_unconfined {
        return Ok(SeccompProfile::Unconfined);
    }
    match &spec.privileges.seccomp_profile {
        None => Ok(SeccompProfile::default()),
        Some(json) => SeccompProfile::parse(json).map_err(|error| {
            let begin: String = json.chars().take(40).collect();
            ContainerError::invalid("seccomp profile", begin, format!("give Docker's JSON form: {error}"))
        }),
    }
}

fn rlimits(spec: &[Ulimit], defaults: &[Ulimit]) -> Result<Vec<Rlimit>, ContainerError> {
    let named = |name: &str| spec.iter().any(|ulimit| ulimit.name == name);
    let inherited = defaults.iter().filter(|ulimit| !named(&ulimit.name));
    spec.iter().chain(inherited).map(rlimit).collect()
}

fn rlimit(ulimit: &Ulimit) -> Result<Rlimit, ContainerError> {
    let kind = RlimitKind::parse(&ulimit.name)
        .ok_or_else(|| ContainerError::invalid("ulimit", &ulimit.name, "name one as nofile, nproc or core"))?;
    // -1 is no limit, here and in the kernel's numbering.
    let bound = |value: i64| if value < 0 { u64::MAX } else { value.unsigned_abs() };
    let (soft, hard) = (bound(ulimit.soft), bound(ulimit.hard));
    if soft > hard {
        let value = format!("{}={}:{}", ulimit.name, ulimit.soft, ulimit.hard);
        return Err(ContainerError::invalid("ulimit", value, "the soft limit may not exceed the hard one"));
    }
    Ok(Rlimit { kind, soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn image() -> ContainerConfig {
        ContainerConfig {
            entrypoint: Some(words(&["/entry"])),
            cmd: Some(words(&["image"])),
            working_dir: "/srv".into(),
            user: "1000".into(),
            ..ContainerConfig::default()
        }
    }

    fn args(spec: &ContainerSpec) -> Vec<String> {
        process(&merge(&image(), spec, "h"), spec, &[]).unwrap().args
    }

    #[test]
    fn command_and_arguments_replace_as_dockers_do() {
        let spec = ContainerSpec::default();
        assert_eq!(args(&spec), ["/entry", "image"]);
        assert_eq!(args(&ContainerSpec { args: words(&["a"]), ..spec.clone() }), ["/entry", "a"]);
        assert_eq!(args(&ContainerSpec { command: words(&["/c"]), ..spec.clone() }), ["/c"]);
        let both = ContainerSpec { command: words(&["/c"]), args: words(&["a", "b"]), ..spec };
        assert_eq!(args(&both), ["/c", "a", "b"]);
    }

    #[test]
    fn what_can_not_be_honoured_is_named() {
        let ulimit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
        let refused = |change: &dyn Fn(&mut ContainerSpec)| {
            let mut spec = ContainerSpec::default();
            change(&mut spec);
            process(&merge(&image(), &spec, "h"), &spec, &[]).unwrap_err().to_string()
        };
        assert!(refused(&|spec| spec.capability_add = words(&["CAP_FLY"])).contains("'CAP_FLY'"));
        assert!(refused(&|spec| spec.ulimits = vec![ulimit("wings", 1, 1)]).contains("'wings'"));
        assert!(refused(&|spec| spec.ulimits = vec![ulimit("nofile", 2, 1)]).contains("nofile=2:1"));
        assert!(refused(&|spec| spec.dir = Some("srv".into())).contains("'srv'"));
        let empty = process(&ContainerConfig::default(), &ContainerSpec::default(), &[]);
        assert!(matches!(empty, Err(ContainerError::NoCommand(_))));
    }

    #[test]
    fn defaults_fill_what_the_spec_leaves() {
        let ulimit = |name: &str, soft| Ulimit { name: name.into(), soft, hard: -1 };
        let spec = ContainerSpec { ulimits: vec![ulimit("nofile", 5)], ..ContainerSpec::default() };
        let process = process(&merge(&image(), &spec, "h"), &spec, &[ulimit("nofile", 9), ulimit("core", 0)]).unwrap();
        let soft: Vec<_> = process.rlimits.iter().map(|limit| (limit.kind.name(), limit.soft, limit.hard)).collect();
        assert_eq!(soft, [("nofile", 5, u64::MAX), ("core", 0, u64::MAX)]);
        assert_eq!((process.cwd.as_str(), process.user.as_str()), ("/srv", "1000"));
    }
}
