//! Objects of a swarm as the API shows them, for clients to read and change.

use serde_json::{Value, json};

/// A service with something in every list that an update merges into.
pub(crate) fn service() -> Value {
    json!({
        "ID": "svc1", "Version": {"Index": 12},
        "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Endpoint": {"Spec": {}},
        "Spec": {
            "Name": "web", "Labels": {"a": "1", "b": "2"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": format!("web:1@sha256:{}", "ab".repeat(32)), "Labels": {"x": "y"}, "Args": ["old"], "Env": ["A=1"],
                    "Groups": ["g2", "g1"], "Init": false, "Hosts": ["10.0.0.1 db db2", "10.0.0.2 db"],
                    "Mounts": [{"Type": "volume", "Source": "v1", "Target": "/v1"}],
                    "DNSConfig": {"Nameservers": ["9.9.9.9"], "Search": ["z.y"], "Options": ["o:1"]},
                    "Secrets": [{"File": {"Name": "s0", "UID": "0", "GID": "0", "Mode": 292}, "SecretID": "sid0", "SecretName": "s0"}],
                    "Sysctls": {"net.a": "1"}, "CapabilityAdd": ["CAP_KILL"], "CapabilityDrop": ["CAP_CHOWN"],
                    "Ulimits": [{"Name": "nofile", "Hard": 9, "Soft": 9}],
                    "Healthcheck": {"Test": ["NONE"]}
                },
                "Resources": {
                    "Limits": {"NanoCPUs": 5, "MemoryBytes": 6, "Pids": 7},
                    "Reservations": {"GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}]}
                },
                "Placement": {
                    "Constraints": ["node.role==worker"],
                    "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
                    "Platforms": [{"Architecture": "amd64", "OS": "linux"}]
                },
                "Networks": [{"Target": "netb"}], "ForceUpdate": 3
            },
            "Mode": {"Replicated": {"Replicas": 2}},
            "EndpointSpec": {"Mode": "vip", "Ports": [
                {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
                {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host"}
            ]}
        }
    })
}

/// A swarm with the defaults.
pub(crate) fn swarm() -> Value {
    json!({
        "ID": "swarm1", "Version": {"Index": 5}, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Spec": {
            "Name": "default", "Labels": {}, "Orchestration": {"TaskHistoryRetentionLimit": 5},
            "Raft": {"SnapshotInterval": 10000, "KeepOldSnapshots": 0, "LogEntriesForSlowFollowers": 500, "ElectionTick": 10, "HeartbeatTick": 1},
            "Dispatcher": {"HeartbeatPeriod": 5_000_000_000_i64}, "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000_i64},
            "TaskDefaults": {}, "EncryptionConfig": {"AutoLockManagers": false}
        },
        "TLSInfo": {"TrustRoot": "PEM"}, "RootRotationInProgress": false, "SubnetSize": 24,
        "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"}
    })
}

/// A manager with a label.
pub(crate) fn node() -> Value {
    json!({
        "ID": "node1", "Version": {"Index": 9}, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Spec": {"Labels": {"zone": "a"}, "Role": "worker", "Availability": "active"},
        "Description": {"Hostname": "host1", "Platform": {}, "Resources": {}, "Engine": {}, "TLSInfo": {}},
        "Status": {"State": "ready", "Addr": "10.0.0.1"},
        "ManagerStatus": {"Leader": true, "Reachability": "reachable", "Addr": "10.0.0.1:2377"}
    })
}
