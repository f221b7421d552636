//! Relays as the pods of one StatefulSet, whose number of replicas is all that is changed.
//!
//! **Why a StatefulSet and not pods of our own.** What may make pods in a namespace may read its secrets and run anything there;
//! what may scale one StatefulSet can do no more than that: the Role names it, its `scale`, and one Secret that can be written
//! and not read. How a relay's pod looks is the operator's manifest. Each pod keeps its name and its volume, so that the
//! key that a relay's name belongs to is there again, and the kubelet starts it again when it ends by itself.
//! The price: relays come and go at the end of the row only, so that the last one is drained and not the emptiest.
//!
//! **How a pod joins.** Its token is written to the Secret under the pod's name before the row grows; the pod reads it from a
//! file, once, and then lives on its membership. The token is taken out of the Secret when the pod goes.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::{apps::v1::StatefulSet, autoscaling::v1::Scale, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use protocol::RelayName;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{
    Join, Phase, SpawnError, Spawned, Spawner,
    names::{name, number},
    scale::Removal,
};

/// Most replicas that are believed: more are a mistake of somebody's.
const REPLICAS_MAX: i32 = 1000;

/// Longest a call may take: a decision that is older is made anew.
const CALL_TIME_MAX: Duration = Duration::from_secs(15);

/// Which StatefulSet is scaled.
#[derive(Clone)]
pub struct KubernetesConfig {
    /// The API server and who we are there.
    pub client: Client,
    /// The namespace of the StatefulSet; `None`: the client's own.
    pub namespace: Option<String>,
    /// Its name, which is the prefix of its relays' names too.
    pub stateful_set: String,
    /// The Secret that tokens are written to.
    pub secret: String,
    /// What relays join with.
    pub join: Join,
}

impl fmt::Debug for KubernetesConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesConfig")
            .field("namespace", &self.namespace)
            .field("stateful_set", &self.stateful_set)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Scales a StatefulSet of relays.
#[derive(Debug)]
pub struct Kubernetes {
    config: KubernetesConfig,
    sets: Api<StatefulSet>,
    secrets: Api<Secret>,
    welcomed: OnceCell<()>,
}

/// The row of pods as it is wanted and as it is.
struct Row {
    wanted: i32,
    present: i32,
    version: Option<String>,
}

impl Kubernetes {
    /// Nothing is asked of the API server yet.
    #[must_use]
    pub fn new(config: KubernetesConfig) -> Self {
        let namespace = config.namespace.clone().unwrap_or_else(|| config.client.default_namespace().to_owned());
        let sets = Api::namespaced(config.client.clone(), &namespace);
        let secrets = Api::namespaced(config.client.clone(), &namespace);
        Self { config, sets, secrets, welcomed: OnceCell::new() }
    }

    async fn row(&self) -> Result<Row, SpawnError> {
        let set = &self.config.stateful_set;
        let scale: Scale =
            self.sets.get_scale(set).await.map_err(SpawnError::api(format!("reading the scale of {set}")))?;
        let count = |count: i32| count.clamp(0, REPLICAS_MAX);
        Ok(Row {
            wanted: count(scale.spec.and_then(|spec| spec.replicas).unwrap_or(0)),
            present: count(scale.status.map_or(0, |status| status.replicas)),
            version: scale.metadata.resource_version,
        })
    }

    /// Sets the number, unless somebody else has changed the StatefulSet meanwhile: that is told as a conflict, and the next look
    /// decides anew.
    async fn set_wanted(&self, row: &Row, wanted: i32) -> Result<(), SpawnError> {
        let set = &self.config.stateful_set;
        let patch = json!({ "metadata": { "resourceVersion": row.version }, "spec": { "replicas": wanted } });
        let done = self.sets.patch_scale(set, &PatchParams::default(), &Patch::Merge(patch)).await;
        done.map(drop).map_err(SpawnError::api(format!("scaling {set} to {wanted}")))
    }

    /// Gives a token to every pod that was there before us: which of them have joined is not known, and one that has needs none.
    async fn welcome(&self, row: &Row) -> Result<(), SpawnError> {
        let names: Vec<_> = (0..row.wanted.unsigned_abs()).filter_map(|number| self.name(number)).collect();
        if names.is_empty() { Ok(()) } else { self.write_tokens(&names).await }
    }

    async fn write_tokens(&self, names: &[RelayName]) -> Result<(), SpawnError> {
        let token = |name: &RelayName| (name.to_string(), (self.config.join.token)(name).expose().into());
        let tokens: serde_json::Map<_, _> = names.iter().map(token).collect();
        self.write_secret(json!({ "stringData": tokens })).await
    }

    async fn take_token(&self, name: &RelayName) -> Result<(), SpawnError> {
        self.write_secret(json!({ "data": { name.as_str(): null } })).await
    }

    async fn write_secret(&self, patch: serde_json::Value) -> Result<(), SpawnError> {
        let secret = &self.config.secret;
        let done = self.secrets.patch(secret, &PatchParams::default(), &Patch::Merge(patch)).await;
        done.map(drop).map_err(SpawnError::api(format!("writing the Secret {secret}")))
    }

    fn name(&self, number: u32) -> Option<RelayName> {
        name(&self.config.stateful_set, number)
    }

    fn number(&self, name: &RelayName, tried: &'static str, row: &Row) -> Result<i32, SpawnError> {
        let number = number(&self.config.stateful_set, name).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| SpawnError::NotLast { name: name.clone(), tried, end: row.wanted })
    }
}

#[async_trait]
impl Spawner for Kubernetes {
    async fn start(&self, name: &RelayName) -> Result<(), SpawnError> {
        let row = self.row().await?;
        let number = self.number(name, "started", &row)?;
        if number < row.wanted {
            return Ok(());
        }
        if number > row.wanted {
            return Err(SpawnError::NotLast { name: name.clone(), tried: "started", end: row.wanted });
        }
        self.write_tokens(std::slice::from_ref(name)).await?;
        self.set_wanted(&row, row.wanted + 1).await
    }

    async fn stop(&self, name: &RelayName) -> Result<(), SpawnError> {
        let row = self.row().await?;
        let number = self.number(name, "stopped", &row)?;
        if number >= row.wanted {
            return Ok(());
        }
        if number + 1 < row.wanted {
            return Err(SpawnError::NotLast { name: name.clone(), tried: "stopped", end: row.wanted });
        }
        self.set_wanted(&row, row.wanted - 1).await?;
        self.take_token(name).await
    }

    async fn list(&self) -> Result<Vec<Spawned>, SpawnError> {
        let row = self.row().await?;
        self.welcomed.get_or_try_init(|| self.welcome(&row)).await?;
        // Pods are taken away from the end of the row, so that those above what is wanted are the ones that leave.
        let (wanted, all) = (row.wanted.unsigned_abs(), row.wanted.max(row.present).unsigned_abs());
        let phase = |number| if number < wanted { Phase::Running } else { Phase::Stopping };
        let describe =
            |number| Some(Spawned { name: self.name(number)?, phase: phase(number), restarts: 0, address: None });
        Ok((0..all).filter_map(describe).collect())
    }

    fn removal(&self) -> Removal {
        Removal::Last(self.config.stateful_set.clone())
    }
}

/// Finds the API server as every program of Kubernetes does: by the kubeconfig, or as a pod of it.
pub(crate) async fn client() -> anyhow::Result<Client> {
    let mut config = kube::Config::infer().await?;
    config.read_timeout = Some(CALL_TIME_MAX);
    config.write_timeout = Some(CALL_TIME_MAX);
    Ok(Client::try_from(config)?)
}
