//! `org.freedesktop.portal.ScreenCast` (XDG Desktop Portal), as far as a screen capture needs it. Every request is granted.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use zbus::{
    Connection, interface,
    message::Header,
    zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value},
};

/// How long an answer takes. A client may listen for it only after its call has returned; a real portal, which asks a person,
/// is never faster.
const ANSWER_DELAY: Duration = Duration::from_millis(150);

type Options = HashMap<String, OwnedValue>;

struct ScreenCast {
    node: u32,
    size: (i32, i32),
}

/// Answers on the session bus, offering this PipeWire node, until the connection is dropped.
pub(crate) async fn serve(node: u32, size: (u16, u16)) -> Result<Connection> {
    let screen_cast = ScreenCast { node, size: (size.0.into(), size.1.into()) };
    let connection = zbus::connection::Builder::session()?
        .serve_at("/org/freedesktop/portal/desktop", screen_cast)?
        .name("org.freedesktop.portal.Desktop")?
        .build()
        .await?;
    Ok(connection)
}

/// The path that a client expects for its request or session: made of its bus name and its token.
fn path_of(kind: &str, header: &Header<'_>, options: &Options, token: &str) -> zbus::fdo::Result<OwnedObjectPath> {
    let sender = header.sender().map_or("", |name| name.as_str()).trim_start_matches(':').replace('.', "_");
    let token: String =
        options.get(token).and_then(|value| value.try_clone().ok()?.try_into().ok()).unwrap_or_else(|| "t".into());
    let path = format!("/org/freedesktop/portal/desktop/{kind}/{sender}/{token}");
    OwnedObjectPath::try_from(path).map_err(|error| zbus::fdo::Error::InvalidArgs(error.to_string()))
}

/// Sends the answer to a request after a while and gives the request's path at once.
fn answer(
    connection: &Connection,
    header: &Header<'_>,
    options: &Options,
    results: HashMap<&'static str, Value<'static>>,
) -> zbus::fdo::Result<OwnedObjectPath> {
    let request = path_of("request", header, options, "handle_token")?;
    let (connection, path) = (connection.clone(), request.clone());
    tokio::spawn(async move {
        tokio::time::sleep(ANSWER_DELAY).await;
        let body = (0_u32, results);
        let sent =
            connection.emit_signal(None::<&str>, &path, "org.freedesktop.portal.Request", "Response", &body).await;
        if let Err(error) = sent {
            eprintln!("the answer was not sent: {error}");
        }
    });
    Ok(request)
}

#[interface(name = "org.freedesktop.portal.ScreenCast")]
impl ScreenCast {
    async fn create_session(
        &self,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let session = path_of("session", &header, &options, "session_handle_token")?;
        answer(connection, &header, &options, HashMap::from([("session_handle", Value::from(session.to_string()))]))
    }

    async fn select_sources(
        &self,
        _session: ObjectPath<'_>,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        answer(connection, &header, &options, HashMap::new())
    }

    async fn start(
        &self,
        _session: ObjectPath<'_>,
        _parent_window: &str,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let about = HashMap::from([("size", Value::from(self.size)), ("source_type", Value::from(1_u32))]);
        answer(connection, &header, &options, HashMap::from([("streams", Value::from(vec![(self.node, about)]))]))
    }

    #[zbus(property)]
    fn available_source_types(&self) -> u32 {
        1
    }

    #[zbus(property)]
    fn available_cursor_modes(&self) -> u32 {
        3
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        4
    }
}
