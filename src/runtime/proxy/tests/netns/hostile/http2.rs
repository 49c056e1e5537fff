//! Frames of HTTP/2 that no honest client sends, written by hand.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::{Attack, MIB, exchange, resident_bytes};
use crate::support::isolated::isolated;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface and empty settings.
fn h2_opening() -> Vec<u8> {
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(SETTINGS, 0, 0, &[]),
    ]
    .concat()
}

/// `GET http://web/` in HPACK (RFC 7541): static entries and one literal that is not remembered.
fn request_block() -> Vec<u8> {
    [&[0x82, 0x86, 0x84, 0x01, 3][..], b"web"].concat()
}

#[test]
fn header_bombs_are_refused_with_little_memory() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let before = resident_bytes(attack.server.proxy.pid());
        // HTTP/1: one endless header, then endlessly many.
        let endless = [
            &b"GET / HTTP/1.1\r\nhost: web\r\nx-bomb: "[..],
            &[b'a'; 8 << 20],
        ]
        .concat();
        let many = "x-bomb: 1\r\n".repeat(800_000);
        let many = [&b"GET / HTTP/1.1\r\nhost: web\r\n"[..], many.as_bytes()].concat();
        for bomb in [&endless, &many] {
            let answer = exchange(attack.connect().await, bomb).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        // HTTP/2: CONTINUATION frames without end, with headers that add up.
        let mut bomb = h2_opening();
        bomb.extend(frame(HEADERS, 0, 1, &request_block()));
        let literal = [
            &[0x00, 0x06][..],
            b"x-bomb",
            &[0x7f, 0x81, 0x7e],
            &[b'a'; 16_256],
        ]
        .concat();
        for _ in 0..2_000 {
            bomb.extend(frame(CONTINUATION, 0, 1, &literal[..16_000]));
        }
        exchange(attack.connect().await, &bomb).await;
        assert!(attack.app.seen().is_empty());
        attack.assert_alive().await;
        let after = resident_bytes(attack.server.proxy.pid());
        assert!(
            after < before + 48 * MIB,
            "{} to {} MiB",
            before / MIB,
            after / MIB
        );
    });
}

#[test]
fn rapid_resets_are_bounded() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let before = resident_bytes(attack.server.proxy.pid());
        let mut bytes = h2_opening();
        for number in 0..20_000_u32 {
            let stream = number * 2 + 1;
            bytes.extend(frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream,
                &request_block(),
            ));
            bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        exchange(attack.connect().await, &bytes).await;
        attack.assert_alive().await;
        let after = resident_bytes(attack.server.proxy.pid());
        assert!(
            after < before + 48 * MIB,
            "{} to {} MiB",
            before / MIB,
            after / MIB
        );
        let reached = attack.app.seen().len();
        assert!(
            reached < 10_000,
            "{reached} of 20000 reset requests reached the application"
        );
    });
}

#[test]
fn a_body_before_its_request_is_a_protocol_error() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let bytes = [h2_opening(), frame(DATA, 0, 1, b"early")].concat();
        exchange(attack.connect().await, &bytes).await;
        assert!(attack.app.seen().is_empty());
        attack.assert_alive().await;
    });
}

#[test]
fn floods_of_small_frames_are_bounded() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let before = resident_bytes(attack.server.proxy.pid());
        let ping = frame(6, 0, 0, &[0; 8]);
        let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        let window = frame(8, 0, 0, &1_u32.to_be_bytes());
        let empty = frame(DATA, 0, 1, &[]);
        for (name, unit) in [
            ("ping", ping),
            ("settings", settings),
            ("window", window),
            ("data", empty),
        ] {
            let mut bytes = h2_opening();
            bytes.extend(frame(HEADERS, END_HEADERS, 1, &request_block()));
            for _ in 0..50_000 {
                bytes.extend(&unit);
            }
            // Reads nothing of what comes back, as long as it can write.
            let mut stream = attack.connect().await;
            let flood = tokio::time::timeout(Duration::from_secs(3), stream.write_all(&bytes));
            let _ = flood.await;
            drop(stream);
            attack.assert_alive().await;
            let after = resident_bytes(attack.server.proxy.pid());
            assert!(
                after < before + 32 * MIB,
                "{name}: {} to {} MiB",
                before / MIB,
                after / MIB
            );
        }
    });
}
