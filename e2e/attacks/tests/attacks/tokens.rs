//! Tokens of another algorithm, or of another kind.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::{ErrorCode, relay_proof::JoinToken, ticket::Grant};
use serde_json::json;
use stage::{Socket, System, WAYS};

#[tokio::test]
async fn ticket_of_another_algorithm() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let grant = Grant::publish(created.id, 1, vec![created.relay.clone()], stage::now_ms() / 1000);
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&grant).unwrap());
        let head = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "ticket+jwt"}).to_string());
        // The public key is public: signing with it by HMAC is the classic confusion of algorithms.
        let public_key = URL_SAFE_NO_PAD.decode(system.directory_key().public_key().to_string()).unwrap();
        let header = Header { typ: Some("ticket+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
        let hmac = jsonwebtoken::encode(&header, &grant, &EncodingKey::from_secret(&public_key)).unwrap();
        let signature = created.ticket.expose().rsplit('.').next().unwrap().to_owned();
        for forged in [
            format!("{}.{claims}.", head("none")),
            format!("{}.{claims}.", head("EdDSA")),
            format!("{}.{claims}.{signature}", head("none")),
            format!("{}.{claims}.{signature}", head("EdDSA")),
            hmac,
        ] {
            Socket::publishing(created.at(by), &forged).await.is_refused(ErrorCode::TicketInvalid).await;
        }
    }
}

#[tokio::test]
async fn token_of_one_kind_for_another() {
    let system = System::start().await;
    for by in WAYS {
        let created = system.create(json!({"title": "a"})).await;
        let join = JoinToken { id: "0".repeat(32), uses_max: 1, expires_at_s: stage::now_ms() / 1000 + 60 };
        let join = system.directory_key().sign(&join).unwrap();
        Socket::publishing(created.at(by), join.expose()).await.is_refused(ErrorCode::TicketInvalid).await;
        let path = format!("/api/streams/{}", created.id);
        let request = system.request(reqwest::Method::DELETE, &path).bearer_auth(created.ticket.expose());
        system.send(request).await.is_refused(401, "unauthorized");
    }
}
