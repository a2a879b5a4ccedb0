//! What reading, cutting and fusing take on a shipped network, and on a chain of 10,000 nodes.

#![expect(clippy::expect_used, reason = "a benchmark may fail anywhere")]

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offramp_graph::ir::{Graph, Node, ValueInfo};
use offramp_graph::{Model, fuse, partition, shape};

fn shipped(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/zoo/shapes-sdn.onnx");
    let bytes = Bytes::from(std::fs::read(path).expect("the network is shipped"));
    let model = Model::from_bytes(bytes.clone()).expect("it is a model");
    let shapes = shape::infer(&model).expect("its shapes are known");
    let exits: Vec<String> = model.graph.outputs.iter().map(|output| output.name.clone()).collect();
    let types = |name: &str| shapes.get(name).map(|_| ValueInfo::float32(name));
    let parts = partition(&model, &exits, &types).expect("it can be cut");

    let mut group = criterion.benchmark_group("shapes-sdn");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("read", |bencher| bencher.iter(|| Model::from_bytes(black_box(bytes.clone()))));
    group.bench_function("infer shapes", |bencher| bencher.iter(|| shape::infer(black_box(&model))));
    group.bench_function("cut", |bencher| bencher.iter(|| partition(black_box(&model), &exits, &types)));
    group.bench_function("fuse", |bencher| bencher.iter(|| fuse(black_box(&parts))));
    group.finish();
}

fn chain(criterion: &mut Criterion) {
    const NODES: usize = 10_000;
    const EXITS: usize = 20;
    let tensor = |at: usize| if at == 0 { "image".to_owned() } else { format!("t{at}") };
    let node = |at: usize| Node {
        op: "Relu".to_owned(),
        inputs: vec![tensor(at)],
        outputs: vec![tensor(at + 1)],
        ..Node::default()
    };
    let exits: Vec<String> = (1..=EXITS).map(|exit| tensor(exit * NODES / EXITS)).collect();
    let graph = Graph {
        nodes: (0..NODES).map(node).collect(),
        inputs: vec![ValueInfo::float32("image")],
        outputs: exits.iter().map(ValueInfo::float32).collect(),
        ..Graph::default()
    };
    let model = Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Model::default() };
    let types = |name: &str| Some(ValueInfo::float32(name));
    let mut group = criterion.benchmark_group("chain of 10,000 nodes");
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function("cut", |bencher| bencher.iter(|| partition(black_box(&model), &exits, &types)));
    group.finish();
}

criterion_group!(benches, shipped, chain);
criterion_main!(benches);
