//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use prost::Message;

use crate::v1;

/// Reads what follows the first byte of `data` as the message that it numbers. What is read is written and read again.
///
/// # Panics
/// When it is another message then.
pub fn fuzz_message(data: &[u8]) {
    let Some((number, bytes)) = data.split_first() else { return };
    if let Some(check) = CHECKS.get(usize::from(*number)) {
        check(bytes);
    }
}

/// One for each message that a call sends or answers with.
const CHECKS: [fn(&[u8]); 20] = [
    check::<v1::RaftRequest>,
    check::<v1::RaftReply>,
    check::<v1::ProposeRequest>,
    check::<v1::ProposeReply>,
    check::<v1::WatchRequest>,
    check::<v1::WatchReply>,
    check::<v1::WriteShardRequest>,
    check::<v1::WriteShardReply>,
    check::<v1::DescribeRequest>,
    check::<v1::DescribeReply>,
    check::<v1::SelectRequest>,
    check::<v1::SelectReply>,
    check::<v1::SeriesRequest>,
    check::<v1::SeriesReply>,
    check::<v1::DigestRequest>,
    check::<v1::DigestReply>,
    check::<v1::ExportRequest>,
    check::<v1::ExportReply>,
    check::<v1::StateRequest>,
    check::<v1::StateReply>,
];

fn check<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(message) = M::decode(bytes) else { return };
    let encoded = message.encode_to_vec();
    assert_eq!(encoded.len(), message.encoded_len());
    let again = M::decode(encoded.as_slice()).expect("what was encoded decodes");
    assert!(again == message, "a message comes back the same: {message:?}");
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    /// A message behind its number.
    fn seed(number: u8, message: &impl Message) -> Vec<u8> {
        [&[number], message.encode_to_vec().as_slice()].concat()
    }

    #[test]
    fn seeds_keep_the_promises() {
        let header = Some(v1::Header { meta_index: 7, clock: 1 << 60, sender: 3 });
        let fault = Some(v1::Fault::new(v1::fault::Kind::Behind, "not compared yet"));
        let accepted = v1::propose_reply::Accepted { index: 9, reply: b"reply".as_slice().into() };
        let cell = v1::DigestCell { bucket: 5, window_start: -3_600, rows: 12, hash: u64::MAX };
        let measurement = v1::MeasurementSchema {
            name: b"cpu".as_slice().into(),
            fields: vec![v1::FieldSchema { name: b"idle".as_slice().into(), types: vec![1, 2].into() }],
            tag_keys: vec![b"host".as_slice().into()],
        };
        let changes = vec![v1::MetaChange { index: 8, entry: b"\x01entry".as_slice().into() }];
        let made = [
            ("raft_request", seed(0, &v1::RaftRequest { message: b"\x01append".as_slice().into() })),
            ("raft_reply", seed(1, &v1::RaftReply { message: b"\x01refused".as_slice().into() })),
            ("propose_request", seed(2, &v1::ProposeRequest { header, command: b"\x01drop".as_slice().into() })),
            (
                "propose_reply",
                seed(3, &v1::ProposeReply { header, outcome: Some(v1::propose_reply::Outcome::Accepted(accepted)) }),
            ),
            (
                "watch_request",
                seed(4, &v1::WatchRequest { header, from_index: 6, wait_ms: 10_000, from_digest: Some(9) }),
            ),
            (
                "watch_reply",
                seed(
                    5,
                    &v1::WatchReply { header, index: 8, data: b"\x01data".as_slice().into(), ..Default::default() },
                ),
            ),
            (
                "watch_reply_changes",
                seed(5, &v1::WatchReply { header, index: 8, changes, digest: 4, ..Default::default() }),
            ),
            (
                "write_request",
                seed(
                    6,
                    &v1::WriteShardRequest {
                        header,
                        shard: 4,
                        stamp_clock: 1 << 60,
                        stamp_coordinator: 2,
                        from_client: true,
                        record: b"\x01\x00".as_slice().into(),
                    },
                ),
            ),
            (
                "write_reply",
                seed(7, &v1::WriteShardReply { header, fault: None, rows: 5, dropped: 1, reason: "types".into() }),
            ),
            ("describe_reply", seed(9, &v1::DescribeReply { header, fault: None, measurements: vec![measurement] })),
            (
                "select_request",
                seed(
                    10,
                    &v1::SelectRequest {
                        header,
                        shards: vec![1, 300, 70_000],
                        plan: b"\x01plan".as_slice().into(),
                        accept_behind: true,
                    },
                ),
            ),
            ("select_reply", seed(11, &v1::SelectReply { header, fault, piece: b"\x01\x00\x00".as_slice().into() })),
            ("digest_reply", seed(15, &v1::DigestReply { header, fault: None, cells: vec![cell, cell] })),
            (
                "state_reply",
                seed(19, &v1::StateReply { header, hinted_shards: vec![1, 2], blank_shards: vec![3], start: u64::MAX }),
            ),
        ];
        seeds::try_all("wire_message", seeds::MANY, &made, fuzz_message);
    }
}
