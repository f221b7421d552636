//! The servers of a system, one by one: where they are, what they say of themselves, their ends and returns.

use std::{net::SocketAddr, path::PathBuf, process::ExitStatus, time::Duration};

use protocol::signing::SigningKey;

use super::System;
use crate::{
    Store, eventually,
    server::{Cable, Server},
};

impl System {
    /// The store that two directories share.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.as_ref().expect("a plan with two directories").store
    }

    /// Ends the store by force, or starts it again, empty.
    pub async fn store_dies(&mut self, dies: bool) {
        let folder = self.folder.path().to_owned();
        let store = &mut self.shared.as_mut().expect("a plan with two directories").store;
        if dies { store.kill().await } else { store.restart(&folder).await }
    }

    /// The own address of a directory, whatever is before it.
    #[must_use]
    pub fn directory_at(&self, name: &str) -> String {
        format!("http://{}", self.server(name).listen)
    }

    /// What a server says about its readiness: the HTTP status and the words.
    pub async fn readiness(&self, name: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("http://{}/readyz", self.server(name).internal)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until a server wants work, as it says itself.
    pub async fn is_ready(&self, name: &str) {
        let url = format!("http://{}/readyz", self.server(name).internal);
        eventually(&format!("readiness of {name}"), async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Waits until a directory has found so many relays at their addresses: until then its lists are short.
    pub(super) async fn gives_work_to(&self, directory: &str, relays: usize) {
        eventually(&format!("work for {relays} relays"), async || {
            let ready = self.metric_where(directory, "directory_relays", Some("health=\"ready\"")).await;
            (ready >= Some(relays as f64) || relays == 0).then_some(())
        })
        .await;
    }

    /// The names of all relays, those that are down included.
    #[must_use]
    pub fn relays(&self) -> Vec<String> {
        self.relays.iter().map(|relay| relay.name.clone()).collect()
    }

    /// The address people reach a relay at.
    #[must_use]
    pub fn relay_url(&self, name: &str) -> String {
        let relay = self.server(name);
        let address = relay.cable.as_ref().map_or(relay.listen, |cable| cable.public.address());
        format!("ws://{address}/ws")
    }

    /// Its own address, whatever weather there is before it.
    #[must_use]
    pub fn direct_url(&self, name: &str) -> String {
        format!("ws://{}/ws", self.server(name).listen)
    }

    /// The number of a server's process; none while it is down.
    #[must_use]
    pub fn process_id(&self, name: &str) -> Option<u32> {
        self.server(name).process.as_ref()?.id()
    }

    /// Ends a server (`directory`, or a relay) by force. It can be started again.
    pub async fn kill(&mut self, name: &str) {
        self.server_mut(name).kill().await;
    }

    /// Asks a server to end; its exit status, or none when it took longer than `patience` and was killed.
    pub async fn terminate(&mut self, name: &str, patience: Duration) -> Option<ExitStatus> {
        self.server_mut(name).ask_to_end();
        self.ended(name, patience).await
    }

    /// Waits for a server that ends by itself; its exit status, or none when it took longer than `patience` and was killed.
    pub async fn ended(&mut self, name: &str, patience: Duration) -> Option<ExitStatus> {
        self.server_mut(name).ended(patience).await
    }

    /// Starts a server that is down, at the same addresses and with the same folder.
    pub async fn restart(&mut self, name: &str) {
        self.server_mut(name).start().await;
    }

    /// The end of a relay's process by force.
    pub fn kill_relay(&mut self, name: &str) {
        self.relays.retain(|relay| relay.name != name);
    }

    /// Takes everything off the disk of the directory, which is down, but the key it signs with.
    pub fn empty_directory_disk(&self) {
        let key = self.directory_key_file();
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_dir_all(&self.directory.data).unwrap();
        std::fs::create_dir(&self.directory.data).unwrap();
        std::fs::write(key, kept).unwrap();
    }

    /// A relay's cable, where it was planned with one.
    #[must_use]
    pub fn cable(&self, name: &str) -> &Cable {
        self.server(name).cable.as_ref().unwrap_or_else(|| panic!("{name} has no cable"))
    }

    /// The value of one of a server's metrics, summed over its labels; none while it does not answer.
    pub async fn metric(&self, name: &str, metric: &str) -> Option<f64> {
        self.metric_where(name, metric, None).await
    }

    /// The same of those alone that have this label, as `name="value"`.
    pub async fn metric_where(&self, name: &str, metric: &str, label: Option<&str>) -> Option<f64> {
        let url = format!("http://{}/metrics", self.server(name).internal);
        let text = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            let wanted = key.split('{').next() == Some(metric) && label.is_none_or(|label| key.contains(label));
            wanted.then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// The logs of all processes, a line each.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let second = self.shared.iter().map(|shared| &shared.second);
        self.relays.iter().chain([&self.directory]).chain(second).flat_map(Server::log).collect()
    }

    /// The directory's private key: what an attacker never has, for tickets that could not be got otherwise.
    #[must_use]
    pub fn directory_key(&self) -> SigningKey {
        let pkcs8 = std::fs::read(self.directory_key_file()).unwrap();
        SigningKey::from_pkcs8(&pkcs8).unwrap()
    }

    /// An address of the public listener.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.public())
    }

    /// The public listener, or what is before two.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.shared.as_ref().map_or(self.directory.listen, |shared| shared.front.address())
    }

    /// The internal listener.
    #[must_use]
    pub const fn internal(&self) -> SocketAddr {
        self.directory.internal
    }

    fn server(&self, name: &str) -> &Server {
        let second = self.shared.iter().map(|shared| &shared.second);
        let mut all = self.relays.iter().chain([&self.directory]).chain(second);
        all.find(|server| server.name == name).unwrap_or_else(|| panic!("no server is called {name}"))
    }

    fn server_mut(&mut self, name: &str) -> &mut Server {
        let second = self.shared.iter_mut().map(|shared| &mut shared.second);
        let mut all = self.relays.iter_mut().chain([&mut self.directory]).chain(second);
        all.find(|server| server.name == name).unwrap_or_else(|| panic!("no server is called {name}"))
    }

    fn directory_key_file(&self) -> PathBuf {
        self.directory.data.join("ticket-key.der")
    }
}
