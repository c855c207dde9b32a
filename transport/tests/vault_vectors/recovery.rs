//! Recovery keys.

use crate::writer::{hex, sha256};
use crate::{all, save};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use doorframe_transport::devices::{DeviceName, Expiry, RecoveryKey};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use serde_json::{Value, json};

#[test]
fn every_vector_of_recovery_keys_is_read_as_it_says() {
    all("recovery", 3, write_recovery, read_recovery);
}

fn read_recovery(vector: &Value) -> String {
    let Ok(key) = RecoveryKey::from_words(vector["words"].as_str().unwrap()) else { return "words".into() };
    assert_eq!(key.words().as_str(), vector["words"]);
    let device = key.device(Expiry::NEVER, DeviceName::new("paper").unwrap()).unwrap();
    assert_eq!(hex(&device.signer.0), vector["signing_key"]);
    assert_eq!(hex(&sha256(device.public.bytes())), vector["xwing_key_hash"]);
    "ok".into()
}

/// HKDF by two HMACs (RFC 5869 §2): one block is all that is needed.
fn hkdf(bytes: &[u8], label: &str) -> [u8; 32] {
    let prk = sign(&Key::new(HMAC_SHA256, &[0; 32]), bytes);
    let block = [label.as_bytes(), &[1]].concat();
    sign(&Key::new(HMAC_SHA256, prk.as_ref()), &block).as_ref().try_into().unwrap()
}

fn write_recovery() {
    for (name, entropy) in [("zeros", [0_u8; 32]), ("rising", std::array::from_fn(|i| 7 * i as u8 + 1))] {
        let words = bip39::Mnemonic::from_entropy(&entropy).unwrap().words().collect::<Vec<_>>().join(" ");
        let signing = SigningKey::from_seed(&hkdf(&entropy, "doorframe/1 recovery signing"));
        let xwing = DeviceKey::from_seed(hkdf(&entropy, "doorframe/1 recovery device")).unwrap();
        let vector = json!({
            "about": "24 words and the keys that they make", "words": words, "entropy": hex(&entropy),
            "signing_key": hex(&signing.unwrap().verifying_key().0),
            "xwing_key_hash": hex(&sha256(xwing.public().bytes())), "expect": "ok",
        });
        save("recovery", name, &vector);
        let mut swapped: Vec<_> = words.split(' ').collect();
        swapped.swap(0, 23);
        let vector = json!({ "about": "the first and the last word are swapped", "words": swapped.join(" "), "expect": "words" });
        save("recovery", &format!("{name}-swapped"), &vector);
    }
}
