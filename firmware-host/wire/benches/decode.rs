//! Decoding against the cobs crate's decoder and crc32fast on the same bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offramp_wire::{Decoder, MAX_FRAME, encode_payload};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Payloads as long as batches of 60 samples; every fifth byte is zero, as small numbers are.
fn stream(length: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut stream = Vec::new();
    let mut out = [0; MAX_FRAME];
    for sequence in 0..1000 {
        let payload: Vec<u8> =
            (0..length).map(|_| if random.random_bool(0.2) { 0 } else { random.random() }).collect();
        if let Ok(written) = encode_payload(0x87, sequence, &payload, &mut out) {
            stream.extend_from_slice(&out[..written]);
        }
    }
    stream
}

fn ours(stream: &[u8]) -> usize {
    let mut decoder = Decoder::new();
    let mut frames = 0;
    for piece in stream.chunks(256) {
        let mut rest = piece;
        while let Some(frame) = decoder.next(&mut rest) {
            frames += usize::from(!frame.payload.is_empty());
        }
    }
    frames
}

fn theirs(stream: &[u8]) -> usize {
    let mut plain = [0; 1024];
    let mut frames = 0;
    let mut decoder = cobs::CobsDecoder::new(&mut plain);
    for piece in stream.chunks(256) {
        let mut rest = piece;
        while let Ok(Some(report)) = decoder.push(rest) {
            rest = &rest[report.parsed_size()..];
            let (body, checksum) = decoder.dest()[..report.frame_size()].split_at(report.frame_size() - 4);
            frames += usize::from(crc32fast::hash(body).to_le_bytes() == checksum);
        }
    }
    frames
}

fn decode(criterion: &mut Criterion) {
    for length in [64, 500] {
        let stream = stream(length);
        assert_eq!((ours(&stream), theirs(&stream)), (1000, 1000));
        let mut group = criterion.benchmark_group(format!("decode {length} bytes"));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function("offramp-wire", |bencher| bencher.iter(|| ours(black_box(&stream))));
        group.bench_function("cobs and crc32fast", |bencher| bencher.iter(|| theirs(black_box(&stream))));
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
