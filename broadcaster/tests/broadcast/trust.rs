//! Passes, encryption, orders and viewers: what a broadcast owes to those who must be able to trust it.

use std::{
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use broadcaster::{Authorities, Broadcast, BroadcastState, SoundChoice, SourceChoice, StartError};
use protocol::{
    ErrorCode, MediaKind, Secret, ViewerId,
    control::{AudienceMember, ToBroadcaster},
    http::{Assignment, Order, Visibility},
    seal::{ContentKey, Opened, Opener},
};

use super::{
    Folder, assert_well_formed, decoded_frames,
    fake::{Certificate, FakeDirectory, FakeRelay, Media, Publisher, wait_for, wait_for_state},
    until,
};

/// A test picture, end-to-end encrypted.
async fn sealed_broadcast(directory: &FakeDirectory) -> Broadcast {
    let options = directory.options(SourceChoice::Test, SoundChoice::None);
    Broadcast::start(broadcaster::BroadcastOptions { encrypt: true, ..options }).await.unwrap()
}

/// What a viewer with the link has.
pub(super) fn opener(broadcast: &Broadcast) -> Opener {
    let status = broadcast.status().borrow().clone();
    let (_, key) = status.watch_link.expose().split_once("#k=").unwrap();
    Opener::new(key.parse::<ContentKey>().unwrap(), status.stream)
}

/// What the viewer sees of `media`, all of which must be sealed.
pub(super) fn opened(opener: &mut Opener, media: &[Media]) -> Vec<u8> {
    let mut shown = Vec::new();
    for media in media {
        assert!(media.header.sealed, "{:?}", media.header);
        if let Opened::Payload(_, payload) = opener.open(&mut media.message.to_vec()).unwrap() {
            shown.extend_from_slice(payload);
        }
    }
    shown
}

/// Reads media until `condition` holds.
async fn take_until(publisher: &mut Publisher, condition: impl Fn(&Publisher) -> bool) -> Vec<Media> {
    let mut media = Vec::new();
    while !condition(publisher) {
        media.push(publisher.next().await.expect("the stream goes on"));
    }
    media
}

#[tokio::test]
async fn encrypted_stream_is_read_with_the_link_and_by_nobody_else() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = sealed_broadcast(&directory).await;
    let mut publisher = relay.publisher().await;
    let media = publisher.take(1, 70).await;
    assert_well_formed(&media, 1);
    assert_eq!(media.iter().filter(|media| media.header.kind == MediaKind::Init).count(), 1);
    assert!(
        media
            .iter()
            .all(|media| !media.payload.windows(4).any(|word| [b"moov", b"moof"].contains(&word.try_into().unwrap())))
    );

    let mut viewer = opener(&broadcast);
    assert_eq!(decoded_frames(&opened(&mut viewer, &media), &Folder::new("sealed")), 70);
    let mut stranger = Opener::new(ContentKey::generate().unwrap(), broadcast.status().borrow().stream);
    assert!(stranger.open(&mut media[0].message.to_vec()).is_err());

    let created = directory.created.lock().unwrap()[0].clone();
    assert!(created.sealed && created.password.is_none());
    let status = broadcast.status().borrow().clone();
    let (_, key) = status.watch_link.expose().split_once("#k=").unwrap();
    assert!(status.sealed && !format!("{status:?} {broadcast:?}").contains(key));
    assert!(!serde_json::to_string(&created).unwrap().contains(key));
}

#[tokio::test]
async fn encrypted_stream_goes_on_at_another_relay_without_a_message_sealed_twice() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let broadcast = sealed_broadcast(&directory).await;
    let mut publisher = first.publisher().await;
    let before = publisher.take(1, 75).await;
    drop(publisher);
    let after = second.publisher().await.take(1, 70).await;

    assert_eq!(before[0].message, after[0].message, "the init segment is sent again as it was");
    for media in &after {
        let same = |other: &&Media| {
            let number = |media: &Media| (media.header.kind, media.header.segment, media.header.chunk);
            number(other) == number(media)
        };
        assert!(before.iter().find(same).is_none_or(|before| before.message == media.message), "{:?}", media.header);
    }
    let mut viewer = opener(&broadcast);
    opened(&mut viewer, &before);
    assert!(!opened(&mut viewer, &after).is_empty());
    assert_eq!(viewer.tampered(), 0);
}

#[tokio::test]
async fn renewed_ticket_goes_over_the_open_connection() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 10).await;
    assert_eq!(publisher.renewed, [], "the first order holds the ticket that is in use");
    for ticket in ["renewed", "renewed again"] {
        let assignment = Assignment { ticket: ticket.into(), ..directory.assignment(1) };
        directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
        take_until(&mut publisher, |publisher| publisher.renewed.last() == Some(&ticket.into())).await;
    }
    // Orders for where the stream is not are nothing for this connection.
    let elsewhere = Assignment { ticket: "older".into(), ..directory.assignment(0) };
    directory.orders.send(Some(Order::Assignment { assignment: elsewhere })).unwrap();
    let assignment = Assignment { relays: Vec::new(), ticket: "nowhere".into(), epoch: 1, record: None };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    let assignment = Assignment { ticket: "last".into(), ..directory.assignment(1) };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    take_until(&mut publisher, |publisher| publisher.renewed.last() == Some(&"last".into())).await;
    assert_eq!(publisher.renewed, ["renewed", "renewed again", "last"].map(Secret::from));
}

#[tokio::test]
async fn broadcast_goes_where_it_is_ordered() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = first.publisher().await;
    publisher.take(1, 3).await;
    let relays = vec![protocol::http::RelayAddress::new("relay-2".parse().unwrap(), second.url())];
    let assignment = Assignment { relays, ticket: "ordered".into(), epoch: 5, record: None };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    let mut moved = second.publisher().await;
    assert_eq!(moved.ticket.expose(), "ordered");
    assert_well_formed(&moved.take(1, 10).await, 1);
    // The old connection ends without the stream being ended.
    moved.read_until(async { while publisher.next().await.is_some() {} }).await;
    wait_for(&mut broadcast.status(), |status| status.relay.as_ref().is_some_and(|name| name.as_str() == "relay-2"))
        .await;
    assert_eq!(directory.assignments.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn order_is_obeyed_while_no_relay_answers() {
    let (gone, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&gone]).await;
    drop(gone);
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    wait_for(&mut broadcast.status(), |status| status.sentence.contains("can't be reached")).await;
    let relays = vec![protocol::http::RelayAddress::new("relay-2".parse().unwrap(), second.url())];
    let assignment = Assignment { relays, ticket: "ordered".into(), epoch: 1_000, record: None };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    assert_eq!(second.publisher().await.ticket.expose(), "ordered");
}

#[tokio::test]
async fn stream_that_is_ended_by_an_operator_says_why() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    directory.orders.send(Some(Order::End { message: "an operator has ended the stream.".to_owned() })).unwrap();
    while publisher.next().await.is_some() {}
    let status = wait_for_state(&broadcast, BroadcastState::Ended).await;
    assert!(status.failed);
    assert_eq!(status.sentence, "The broadcast has ended: an operator has ended the stream.");
}

#[tokio::test]
async fn orders_are_asked_for_again_when_their_connection_breaks() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    until(|| directory.orders_asked.load(Ordering::SeqCst) == 1 && directory.orders.receiver_count() == 1).await;
    directory.orders.send(None).unwrap();
    until(|| directory.orders_asked.load(Ordering::SeqCst) == 2 && directory.orders.receiver_count() == 1).await;
    let assignment = Assignment { ticket: "after the break".into(), ..directory.assignment(1) };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    take_until(&mut publisher, |publisher| publisher.renewed.last() == Some(&"after the break".into())).await;
}

#[tokio::test]
async fn directory_without_orders_is_asked_once_and_the_stream_goes_on() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start_as(&[&relay], None, |directory| directory.has_orders = false).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 75).await; // longer than several waits before it would be asked again
    assert_eq!(directory.orders_asked.load(Ordering::SeqCst), 1);
    wait_for_state(&broadcast, BroadcastState::Live).await;
}

#[tokio::test]
async fn audience_is_shown_and_a_viewer_can_be_removed() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    let member = |viewer| AudienceMember { viewer: ViewerId(viewer), since_ms: 1_763_000_000_000 };
    publisher.say(&ToBroadcaster::Audience { viewers: vec![member(2), member(1)] }).await;
    let mut status = broadcast.status();
    wait_for(&mut status, |status| status.audience == [member(2), member(1)]).await;
    // More than a relay may name are not kept.
    publisher.say(&ToBroadcaster::Audience { viewers: (0..500).map(member).collect() }).await;
    wait_for(&mut status, |status| status.audience.len() == 100).await;

    broadcast.remove_viewer(ViewerId(2)).await.unwrap();
    let key = protocol::BroadcastKey::new([7; 32]).expose();
    assert_eq!(*directory.removed.lock().unwrap(), [("0000000000000002".to_owned(), key)]);
    drop(publisher);
    wait_for(&mut status, |status| status.audience.is_empty()).await;
}

#[tokio::test]
async fn pass_and_password_reach_the_directory() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start_as(&[&relay], None, |directory| directory.pass = Some("dsp_right")).await;
    let start = |pass: Option<&str>| {
        let options = directory.options(SourceChoice::Test, SoundChoice::None);
        let (visibility, password) = (Visibility::Password, Some("open sesame".into()));
        let pass = pass.map(Secret::from);
        Broadcast::start(broadcaster::BroadcastOptions { pass, visibility, password, ..options })
    };
    for (pass, wanted) in [(None, ErrorCode::PassRequired), (Some("dsp_wrong"), ErrorCode::PassInvalid)] {
        let Err(StartError::Directory(error)) = start(pass).await else { panic!("{pass:?}") };
        assert_eq!(error.code(), Some(wanted));
    }
    let _broadcast = start(Some("dsp_right")).await.unwrap();
    let created = directory.created.lock().unwrap()[0].clone();
    assert_eq!((created.visibility, created.password), (Visibility::Password, Some("open sesame".into())));
}

/// Runs the command to its end; its exit code and what it says.
fn command(directory: &FakeDirectory, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = directory.command();
    command.args(["--source", "test"]).args(arguments).envs(environment.iter().copied()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn command_says_the_way_out_and_shows_no_secret() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start_as(&[&relay], None, |directory| directory.pass = Some("dsp_right")).await;
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        tokio::task::block_in_place(|| command(&directory, arguments, environment))
    };
    let (code, said) = run(&[], &[]);
    assert_eq!(code, 1);
    assert!(said.contains("refused: pass_required; then give it") && said.contains("--pass"), "{said}");
    let (code, said) = run(&[], &[("BROADCAST_PASS", "dsp_mistyped")]);
    assert_eq!(code, 1);
    assert!(said.contains("pass_invalid; check BROADCAST_PASS") && !said.contains("mistyped"), "{said}");
    for (arguments, environment, sentence) in [
        (&["--visibility", "password"][..], &[][..], "--visibility password needs a password"),
        (&["--visibility", "password"], &[("STREAM_PASSWORD", "")], "--visibility password needs a password"),
        (&[], &[("STREAM_PASSWORD", "open sesame")], "goes with --visibility password only"),
        (&["--ca", "/nowhere.pem"], &[], "the certificates in /nowhere.pem can't be read"),
        (&["--ca", "/etc/hostname"], &[], "/etc/hostname holds no certificate"),
    ] {
        let (code, said) = run(arguments, environment);
        assert!(code == 2 && said.contains(sentence), "{arguments:?}: {code} {said}");
    }
    let mut help = Command::new(env!("CARGO_BIN_EXE_broadcast"));
    help.arg("--help").envs([("BROADCAST_PASS", "dsp_right"), ("STREAM_PASSWORD", "sesame")]);
    let help = String::from_utf8(help.output().unwrap().stdout).unwrap();
    assert!(help.contains("BROADCAST_PASS") && !help.contains("dsp_right") && !help.contains("sesame"), "{help}");
}

#[tokio::test]
async fn directory_and_relay_of_a_private_authority_are_trusted_with_its_file_only() {
    let folder = Folder::new("authority");
    let certificate = Certificate::new();
    let file = folder.0.join("authority.pem");
    certificate.write(&file);
    let relay = FakeRelay::start_as(Some(certificate.clone())).await;
    let directory = FakeDirectory::start_as(&[&relay], Some(&certificate), |_| {}).await;
    let start = |authorities| {
        let options = directory.options(SourceChoice::Test, SoundChoice::None);
        let directory = format!("https://localhost:{}", directory.address.port()).parse().unwrap();
        Broadcast::start(broadcaster::BroadcastOptions { directory, authorities, ..options })
    };
    let Err(StartError::Directory(refused)) = start(Authorities::default()).await else { panic!("not refused") };
    assert!(refused.to_string().contains("is not trusted (invalid peer certificate: UnknownIssuer)"), "{refused}");

    let _broadcast = start(Authorities::with_file(&file).unwrap()).await.unwrap();
    let mut publisher = relay.publisher().await;
    assert_well_formed(&publisher.take(1, 20).await, 1);
}
