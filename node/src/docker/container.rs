//! What runs in a task.

use shoal_api::types;
use shoal_proto::model::{
    BindOptions, ContainerSpec, DnsConfig, HealthCheck, Mount, MountKind, MountPropagation, Privileges, TmpfsOptions,
    Ulimit, VolumeOptions,
};

use super::secret::{references, shown_references};
use super::word::{WordError, duration, nanoseconds, said};

/// The container that a client wants.
pub(super) fn container_spec(spec: types::ContainerSpec) -> Result<ContainerSpec, WordError> {
    refuse_absent(&spec)?;
    Ok(ContainerSpec {
        image: spec.image,
        labels: spec.labels.into_iter().collect(),
        command: spec.command,
        args: spec.args,
        hostname: said(spec.hostname),
        env: spec.env,
        dir: said(spec.dir),
        user: said(spec.user),
        groups: spec.groups,
        privileges: privileges(spec.privileges)?,
        init: spec.init,
        stop_signal: said(spec.stop_signal),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        read_only: spec.read_only,
        mounts: spec.mounts.into_iter().map(mount).collect::<Result<_, _>>()?,
        stop_grace_period: spec
            .stop_grace_period
            .map(|period| duration("TaskTemplate.ContainerSpec.StopGracePeriod", period))
            .transpose()?,
        health_check: spec.healthcheck.map(health_check).transpose()?,
        hosts: spec.hosts,
        dns: spec.dns_config.map(dns).unwrap_or_default(),
        sysctls: spec.sysctls.into_iter().collect(),
        capability_add: spec.capability_add,
        capability_drop: spec.capability_drop,
        ulimits: spec
            .ulimits
            .into_iter()
            .map(|limit| Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
            .collect(),
        oom_score_adj: i32::try_from(spec.oom_score_adj).map_err(|_| {
            WordError::new("TaskTemplate.ContainerSpec.OomScoreAdj", spec.oom_score_adj, "-1000 to 1000 is expected")
        })?,
        pull_credentials: None,
        payloads: references(spec.secrets, spec.configs)?,
    })
}

fn refuse_absent(spec: &types::ContainerSpec) -> Result<(), WordError> {
    if !matches!(spec.isolation.as_str(), "" | "default") {
        return Err(WordError::new(
            "TaskTemplate.ContainerSpec.Isolation",
            &spec.isolation,
            "only default exists on Linux",
        ));
    }
    Ok(())
}

fn privileges(privileges: Option<types::Privileges>) -> Result<Privileges, WordError> {
    const FIELD: &str = "TaskTemplate.ContainerSpec.Privileges";
    let Some(privileges) = privileges else { return Ok(Privileges::default()) };
    if privileges.credential_spec.is_some() {
        return Err(WordError::new(&format!("{FIELD}.CredentialSpec"), "set", "it exists on Windows only"));
    }
    if privileges.selinux_context.is_some_and(|context| !context.disable) {
        return Err(WordError::absent(&format!("{FIELD}.SELinuxContext"), "set"));
    }
    if let Some(armor) =
        privileges.app_armor.filter(|armor| !matches!(armor.mode.as_str(), "" | "default" | "disabled"))
    {
        return Err(WordError::new(&format!("{FIELD}.AppArmor.Mode"), armor.mode, "default or disabled is expected"));
    }
    let mut taken = Privileges { no_new_privileges: privileges.no_new_privileges, ..Privileges::default() };
    if let Some(seccomp) = privileges.seccomp {
        match seccomp.mode.as_str() {
            "" | "default" => {}
            "unconfined" => taken.seccomp_unconfined = true,
            "custom" => {
                let profile = String::from_utf8(seccomp.profile.0).map_err(|_| {
                    WordError::new(&format!("{FIELD}.Seccomp.Profile"), "bytes", "a profile in JSON is expected")
                })?;
                taken.seccomp_profile = Some(profile);
            }
            _ => {
                let remedy = "default, unconfined or custom is expected";
                return Err(WordError::new(&format!("{FIELD}.Seccomp.Mode"), seccomp.mode, remedy));
            }
        }
    }
    Ok(taken)
}

fn mount(mount: types::Mount) -> Result<Mount, WordError> {
    const FIELD: &str = "TaskTemplate.ContainerSpec.Mounts";
    let kind = match mount.kind {
        Some(types::MountType::Bind) => {
            MountKind::Bind { source: mount.source, options: bind_options(mount.bind_options.unwrap_or_default())? }
        }
        None | Some(types::MountType::Volume) => MountKind::Volume {
            source: mount.source,
            options: volume_options(mount.volume_options.unwrap_or_default()),
        },
        Some(types::MountType::Tmpfs) => {
            if !mount.source.is_empty() {
                return Err(WordError::new(&format!("{FIELD}.Source"), mount.source, "a tmpfs has no source"));
            }
            MountKind::Tmpfs { options: tmpfs_options(mount.tmpfs_options.unwrap_or_default())? }
        }
        Some(other) => {
            let name = format!("{other:?}").to_lowercase();
            return Err(WordError::new(&format!("{FIELD}.Type"), name, "bind, volume or tmpfs is expected"));
        }
    };
    Ok(Mount { kind, target: mount.target, read_only: mount.read_only })
}

fn bind_options(options: types::BindOptions) -> Result<BindOptions, WordError> {
    let propagation = match options.propagation.as_str() {
        "" | "rprivate" => MountPropagation::RPrivate,
        "private" => MountPropagation::Private,
        "rshared" => MountPropagation::RShared,
        "shared" => MountPropagation::Shared,
        "rslave" => MountPropagation::RSlave,
        "slave" => MountPropagation::Slave,
        other => {
            let remedy = "rprivate, private, rshared, shared, rslave or slave is expected";
            let field = "TaskTemplate.ContainerSpec.Mounts.BindOptions.Propagation";
            return Err(WordError::new(field, other, remedy));
        }
    };
    Ok(BindOptions { propagation, non_recursive: options.non_recursive, create_source: options.create_mountpoint })
}

fn volume_options(options: types::VolumeOptions) -> VolumeOptions {
    let driver = options.driver_config.unwrap_or_default();
    VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels.into_iter().collect(),
        driver: driver.name,
        driver_options: driver.options.into_iter().collect(),
        subpath: said(options.subpath),
    }
}

fn tmpfs_options(options: types::TmpfsOptions) -> Result<TmpfsOptions, WordError> {
    const FIELD: &str = "TaskTemplate.ContainerSpec.Mounts.TmpfsOptions";
    if let Some(option) = options.options.first() {
        return Err(WordError::absent(&format!("{FIELD}.Options"), option.join("=")));
    }
    let size_bytes = u64::try_from(options.size_bytes).map_err(|_| {
        WordError::new(&format!("{FIELD}.SizeBytes"), options.size_bytes, "zero or more bytes are expected")
    })?;
    Ok(TmpfsOptions { size_bytes, mode: (options.mode != 0).then_some(options.mode) })
}

fn health_check(check: types::HealthConfig) -> Result<HealthCheck, WordError> {
    const FIELD: &str = "TaskTemplate.ContainerSpec.Healthcheck";
    let period = |name: &str, value| duration(&format!("{FIELD}.{name}"), value);
    Ok(HealthCheck {
        test: check.test,
        interval: period("Interval", check.interval)?,
        timeout: period("Timeout", check.timeout)?,
        start_period: period("StartPeriod", check.start_period)?,
        start_interval: period("StartInterval", check.start_interval)?,
        retries: u32::try_from(check.retries).map_err(|_| {
            WordError::new(&format!("{FIELD}.Retries"), check.retries, "a number of zero or more is expected")
        })?,
    })
}

fn dns(config: types::DnsConfig) -> DnsConfig {
    DnsConfig { nameservers: config.nameservers, search: config.search, options: config.options }
}

/// The container as Docker shows it; what the registry wants to hear is not shown.
pub(super) fn shown_container_spec(spec: ContainerSpec) -> types::ContainerSpec {
    let dns =
        types::DnsConfig { nameservers: spec.dns.nameservers, search: spec.dns.search, options: spec.dns.options };
    let (secrets, configs) = shown_references(spec.payloads);
    types::ContainerSpec {
        image: spec.image,
        labels: spec.labels.into_iter().collect(),
        command: spec.command,
        args: spec.args,
        hostname: spec.hostname.unwrap_or_default(),
        env: spec.env,
        dir: spec.dir.unwrap_or_default(),
        user: spec.user.unwrap_or_default(),
        groups: spec.groups,
        privileges: shown_privileges(spec.privileges),
        init: spec.init,
        stop_signal: spec.stop_signal.unwrap_or_default(),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        read_only: spec.read_only,
        mounts: spec.mounts.into_iter().map(shown_mount).collect(),
        stop_grace_period: spec.stop_grace_period.map(nanoseconds),
        healthcheck: spec.health_check.map(shown_health_check),
        hosts: spec.hosts,
        dns_config: Some(dns),
        secrets,
        configs,
        isolation: "default".to_owned(),
        sysctls: spec.sysctls.into_iter().collect(),
        capability_add: spec.capability_add,
        capability_drop: spec.capability_drop,
        ulimits: spec
            .ulimits
            .into_iter()
            .map(|limit| types::Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
            .collect(),
        oom_score_adj: i64::from(spec.oom_score_adj),
    }
}

fn shown_privileges(privileges: Privileges) -> Option<types::Privileges> {
    if privileges == Privileges::default() {
        return None;
    }
    let mode = match (privileges.seccomp_unconfined, privileges.seccomp_profile) {
        (true, _) => Some(("unconfined", String::new())),
        (false, Some(profile)) => Some(("custom", profile)),
        (false, None) => None,
    };
    Some(types::Privileges {
        no_new_privileges: privileges.no_new_privileges,
        seccomp: mode.map(|(mode, profile)| types::SeccompOpts {
            mode: mode.to_owned(),
            profile: types::Base64Bytes(profile.into_bytes()),
        }),
        ..types::Privileges::default()
    })
}

fn shown_mount(mount: Mount) -> types::Mount {
    let shown = types::Mount { target: mount.target, read_only: mount.read_only, ..types::Mount::default() };
    match mount.kind {
        MountKind::Bind { source, options } => types::Mount {
            kind: Some(types::MountType::Bind),
            source,
            bind_options: (options != BindOptions::default()).then(|| shown_bind_options(&options)),
            ..shown
        },
        MountKind::Volume { source, options } => types::Mount {
            kind: Some(types::MountType::Volume),
            source,
            volume_options: (options != VolumeOptions::default()).then(|| shown_volume_options(options)),
            ..shown
        },
        MountKind::Tmpfs { options } => types::Mount {
            kind: Some(types::MountType::Tmpfs),
            tmpfs_options: (options != TmpfsOptions::default()).then(|| types::TmpfsOptions {
                size_bytes: i64::try_from(options.size_bytes).unwrap_or(i64::MAX),
                mode: options.mode.unwrap_or(0),
                options: Vec::new(),
            }),
            ..shown
        },
    }
}

fn shown_bind_options(options: &BindOptions) -> types::BindOptions {
    let propagation = match options.propagation {
        MountPropagation::RPrivate => "rprivate",
        MountPropagation::Private => "private",
        MountPropagation::RShared => "rshared",
        MountPropagation::Shared => "shared",
        MountPropagation::RSlave => "rslave",
        MountPropagation::Slave => "slave",
    };
    types::BindOptions {
        propagation: propagation.to_owned(),
        non_recursive: options.non_recursive,
        create_mountpoint: options.create_source,
        ..types::BindOptions::default()
    }
}

fn shown_volume_options(options: VolumeOptions) -> types::VolumeOptions {
    let named = !options.driver.is_empty() || !options.driver_options.is_empty();
    types::VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels.into_iter().collect(),
        subpath: options.subpath.unwrap_or_default(),
        driver_config: named
            .then(|| types::Driver { name: options.driver, options: options.driver_options.into_iter().collect() }),
    }
}

fn shown_health_check(check: HealthCheck) -> types::HealthConfig {
    types::HealthConfig {
        test: check.test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
        retries: i64::from(check.retries),
    }
}
