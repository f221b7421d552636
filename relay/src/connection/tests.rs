//! Whatever the first message is, it is judged.

use proptest::prelude::*;
use protocol::control::{FromBroadcaster, FromViewer};
use serde_json::{Value, json};

use super::*;
use crate::admission::check_tracks;

/// Whatever comes of it, it is a message or an error in bounded words.
fn is_judged(text: &str) -> Result<(), TestCaseError> {
    let ends = [
        parse::<ClientHello>(text).map(|hello| match hello {
            ClientHello::RegisterNewStream { tracks, .. } => drop(check_tracks(&tracks)),
            ClientHello::WatchStream { .. } | ClientHello::PullStream { .. } | ClientHello::Identify { .. } => {}
        }),
        parse::<FromBroadcaster>(text).map(drop),
        parse::<FromViewer>(text).map(drop),
    ];
    for end in ends.into_iter().filter_map(Result::err) {
        let End::Error(ErrorCode::InvalidRequest, message) = end else { panic!("{end:?}") };
        prop_assert!(message.len() < 200, "{message}");
    }
    Ok(())
}

/// JSON of about the right words.
fn about_right() -> impl Strategy<Value = Value> {
    let names =
        prop::sample::select(vec!["type", "protocol", "ticket", "tracks", "track", "challenge", "codec", "kind"]);
    let words = prop::sample::select(vec![
        "register_new_stream",
        "watch_stream",
        "identify",
        "end_stream",
        "renew_ticket",
        "select_track",
        "video",
    ]);
    let leaf = prop_oneof![
        words.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!(null)),
        (0..=9).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 10, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..8).prop_map(|fields| {
                Value::from_iter(fields.into_iter().map(|(name, value)| (name.to_owned(), value)))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_control_messages_panic(text in "\\PC{0,400}") {
        is_judged(&text)?;
    }

    #[test]
    fn no_json_makes_the_reader_of_control_messages_panic(message in about_right()) {
        is_judged(&message.to_string())?;
    }
}
