//! The manifests in `deploy/kubernetes`, read into the API's own types.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::StatefulSet,
        core::v1::{Container, Namespace, PodSpec, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        rbac::v1::{Role, RoleBinding},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// Every object of every file that the kustomization names.
fn documents() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    let files = kustomization["resources"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
    files
        .flat_map(|file| {
            let text = std::fs::read_to_string(folder().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            serde_saphyr::from_multiple::<Value>(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
        })
        .collect()
}

/// Reads it as the API server would, and checks that nothing of it was unknown to the type.
fn typed<T: DeserializeOwned + Serialize>(document: &Value) -> T {
    let object: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document}"));
    let again = serde_json::to_value(&object).unwrap();
    assert_kept(document, &again, "");
    object
}

fn assert_kept(written: &Value, read: &Value, path: &str) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let kept = read.get(key).unwrap_or_else(|| panic!("{path}/{key} is no field"));
                assert_kept(value, kept, &format!("{path}/{key}"));
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            assert_eq!(written.len(), read.len(), "{path}");
            written.iter().zip(read).for_each(|(written, read)| assert_kept(written, read, path));
        }
        _ => assert_eq!(written, read, "{path}"),
    }
}

pub(crate) fn object<T: Resource + DeserializeOwned + Serialize>(name: &str) -> T {
    let is_it = |document: &&Value| document["kind"] == T::KIND && document["metadata"]["name"] == name;
    let document = documents();
    let document = document.iter().find(is_it).unwrap_or_else(|| panic!("there is no {} {name}", T::KIND));
    assert_eq!(document["apiVersion"], T::API_VERSION);
    typed(document)
}

fn pod(set: &StatefulSet) -> (&PodSpec, &Container) {
    let pod = set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    (pod, &pod.containers[0])
}

fn environment(container: &Container) -> BTreeMap<&str, Option<&str>> {
    container.env.iter().flatten().map(|variable| (variable.name.as_str(), variable.value.as_deref())).collect()
}

#[test]
fn every_object_is_of_a_known_kind_without_unknown_fields() {
    let documents = documents();
    assert!(documents.len() >= 10, "{}", documents.len());
    for document in &documents {
        match document["kind"].as_str().unwrap() {
            "Namespace" => drop(typed::<Namespace>(document)),
            "Secret" => drop(typed::<Secret>(document)),
            "Service" => drop(typed::<Service>(document)),
            "ServiceAccount" => drop(typed::<ServiceAccount>(document)),
            "Role" => drop(typed::<Role>(document)),
            "RoleBinding" => drop(typed::<RoleBinding>(document)),
            "StatefulSet" => drop(typed::<StatefulSet>(document)),
            "NetworkPolicy" => drop(typed::<NetworkPolicy>(document)),
            kind => panic!("{kind} is not known here"),
        }
        if document["kind"] != "Namespace" {
            assert_eq!(document["metadata"]["namespace"], "dead-streaming", "{document}");
        }
    }
}

#[test]
fn relays_drain_before_they_are_killed_and_say_whether_they_are_ready() {
    let set: StatefulSet = object("relay");
    let spec = set.spec.as_ref().unwrap();
    assert_eq!(spec.replicas, None, "applying it again must not change what the directory has set");
    assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
    let (pod, container) = pod(&set);
    let drain: i64 = environment(container)["DRAIN_SECONDS"].unwrap().parse().unwrap();
    assert!(pod.termination_grace_period_seconds.unwrap() > drain);
    let ready = container.readiness_probe.as_ref().unwrap().http_get.as_ref().unwrap();
    assert_eq!(ready.path.as_deref(), Some("/readyz"));
    let live = container.liveness_probe.as_ref().unwrap().http_get.as_ref().unwrap();
    assert_eq!(live.path.as_deref(), Some("/healthz"), "a relay that wants no work is not to be killed");
    assert_eq!(pod.automount_service_account_token, Some(false));
}

#[test]
fn directory_is_one_and_names_what_is_there() {
    let set: StatefulSet = object("directory");
    assert_eq!(set.spec.as_ref().unwrap().replicas, Some(1));
    let (pod, container) = pod(&set);
    let environment = environment(container);
    object::<StatefulSet>(environment["SPAWN_STATEFUL_SET"].unwrap());
    object::<Secret>(environment["SPAWN_SECRET"].unwrap());
    object::<ServiceAccount>(pod.service_account_name.as_deref().unwrap());
    let binding: RoleBinding = object("directory-scales-relays");
    object::<Role>(&binding.role_ref.name);
    assert_eq!(binding.subjects.unwrap()[0].name, pod.service_account_name.clone().unwrap());
    let grace: i64 = environment["GRACE_SECONDS"].unwrap().parse().unwrap();
    assert!(pod.termination_grace_period_seconds.unwrap() > grace);
    let ready = container.readiness_probe.as_ref().unwrap().http_get.as_ref().unwrap();
    assert_eq!(ready.path.as_deref(), Some("/readyz"));
}

#[test]
fn directory_is_set_up_by_variables_that_there_are() {
    let flags = <spawner::Flags as clap::Args>::augment_args(clap::Command::new("directory"));
    let known: Vec<_> = flags.get_arguments().filter_map(|flag| flag.get_env()?.to_str()).collect();
    let set: StatefulSet = object("directory");
    let (_, container) = pod(&set);
    let about_relays = |name: &&str| name.starts_with("SPAWN") || name.starts_with("RELAYS");
    let given: Vec<_> = environment(container).into_keys().filter(about_relays).collect();
    assert!(given.len() >= 6, "{given:?}");
    assert!(given.iter().all(|name| known.contains(name)), "{given:?} of {known:?}");
}

#[test]
fn role_lets_the_directory_read_no_secret_and_make_no_pod() {
    let role: Role = object("relay-scaler");
    for rule in role.rules.unwrap() {
        let names = rule.resource_names.expect("every rule names its objects");
        assert!(!names.is_empty());
        let resources = rule.resources.unwrap();
        let readable = rule.verbs.iter().any(|verb| !["patch"].contains(&verb.as_str()));
        assert!(!(readable && resources.contains(&"secrets".to_owned())), "secrets may be written only");
        assert!(!resources.iter().any(|resource| resource == "pods" || resource == "*"));
    }
}
