//! What every engine does behind the seam.

use crate::engines::{assert_close, engines, expected, fill, fixture, prepare, read};
use offramp_models::DType;
use offramp_runtime::backend::{
    BackendError, GraphSource, HostTensor, Origin, RunError, RunnerOptions, Value,
};

const IMAGE: usize = 3 * 8 * 8;

#[test]
fn segments_give_what_the_reference_gives_for_one_image_and_for_many() {
    let (images, logits) = expected("residual");
    for engine in engines() {
        let name = engine.describe().name;
        let first = prepare(&*engine, "residual-0", &["exit0"]);
        let second = prepare(&*engine, "residual-1", &["exit1"]);
        for batch in [1, 3] {
            let image = fill(&*first, batch, HostTensor::Float32(&images[..batch * IMAGE]));
            let mut start = first.bind(&[image], batch).unwrap();
            let mut rest = second.bind(&start.outputs()[1..], batch).unwrap();
            start.run().unwrap();
            rest.run().unwrap();
            assert_close(&read(&start.outputs()[0]), &logits[0][..batch].concat(), name);
            assert_close(&read(&rest.outputs()[0]), &logits[1][..batch].concat(), name);
        }
    }
}

#[test]
fn a_bound_graph_sees_each_image_that_is_written() {
    let (images, logits) = expected("residual");
    for engine in engines() {
        let runner = prepare(&*engine, "residual", &["exit0", "exit1"]);
        let image = runner.allocate(0, 1).unwrap();
        let mut bound = runner.bind(std::slice::from_ref(&image), 1).unwrap();
        for (index, pixels) in images.chunks(IMAGE).enumerate() {
            image.write(HostTensor::Float32(pixels)).unwrap();
            bound.run().unwrap();
            assert_close(&read(&bound.outputs()[1]), &logits[1][index], engine.describe().name);
        }
    }
}

#[test]
fn chosen_images_go_on_in_the_order_asked_for() {
    let (images, logits) = expected("residual");
    for engine in engines() {
        let first = prepare(&*engine, "residual-0", &["exit0"]);
        let second = prepare(&*engine, "residual-1", &["exit1"]);
        let mut start = first.bind(&[fill(&*first, 3, HostTensor::Float32(&images))], 3).unwrap();
        start.run().unwrap();
        let chosen = start.outputs()[1].select(&[2, 0]).unwrap();
        assert_eq!(chosen.shape(), [2, 20, 8, 8]);
        let mut rest = second.bind(&[chosen], 2).unwrap();
        rest.run().unwrap();
        let wanted = [&*logits[1][2], &*logits[1][0]].concat();
        assert_close(&read(&rest.outputs()[0]), &wanted, engine.describe().name);
        assert!(matches!(start.outputs()[1].select(&[3]), Err(RunError::Form { .. })));
    }
}

#[test]
fn every_element_type_crosses_a_cut_and_so_does_a_batch_on_another_axis() {
    let (images, logits) = expected("kinds");
    for engine in engines() {
        let name = engine.describe().name;
        let first = prepare(&*engine, "kinds-0", &["exit0"]);
        let second = prepare(&*engine, "kinds-1", &["exit1"]);
        let mut start = first.bind(&[fill(&*first, 3, HostTensor::Float32(&images))], 3).unwrap();
        start.run().unwrap();
        let feed = |chosen: &[usize]| -> Vec<Value> {
            let feeds = second.inputs().iter().map(|input| {
                let output = first.outputs().iter().position(|output| output.name == input.name).unwrap();
                assert_eq!(first.outputs()[output].dtype, input.dtype, "{name}");
                start.outputs()[output].select(chosen).unwrap()
            });
            feeds.collect()
        };
        for chosen in [&[0_usize, 1, 2][..], &[1, 0], &[2]] {
            let mut rest = second.bind(&feed(chosen), chosen.len()).unwrap();
            rest.run().unwrap();
            let wanted: Vec<f32> = chosen.iter().flat_map(|&image| logits[1][image].clone()).collect();
            assert_close(&read(&rest.outputs()[0]), &wanted, name);
        }
    }
}

#[test]
fn bytes_go_in_as_bytes() {
    let (images, logits) = expected("bytes");
    let images: Vec<u8> = images.iter().map(|pixel| *pixel as u8).collect();
    for engine in engines() {
        let runner = prepare(&*engine, "bytes", &["logits"]);
        assert_eq!(runner.inputs()[0].dtype, DType::Uint8);
        assert_eq!(runner.inputs()[0].shape, [None, Some(4), Some(4), Some(3)]);
        let mut bound = runner.bind(&[fill(&*runner, 2, HostTensor::Uint8(&images))], 2).unwrap();
        bound.run().unwrap();
        assert_close(&read(&bound.outputs()[0]), &logits[0].concat(), engine.describe().name);
    }
}

#[test]
fn a_network_that_insists_on_a_batch_runs_at_that_batch_only() {
    for engine in engines() {
        let name = engine.describe().name;
        let runner = prepare(&*engine, "pair", &["logits"]);
        assert_eq!(runner.inputs()[0].shape, [Some(2), Some(3)], "{name}");
        let pair = fill(&*runner, 2, HostTensor::Float32(&[1.0, -1.0, 2.0, -2.0, 3.0, -3.0]));
        let mut bound = runner.bind(&[pair], 2).unwrap();
        bound.run().unwrap();
        assert_close(&read(&bound.outputs()[0]), &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0], name);
        let single = prepare(&*engine, "residual", &[]).allocate(0, 1).unwrap();
        assert!(matches!(runner.bind(&[single], 1), Err(RunError::Form { .. })), "{name}");
    }
}

#[test]
fn values_of_the_wrong_form_are_refused_with_what_was_expected_and_found() {
    for engine in engines() {
        let name = engine.describe().name;
        let first = prepare(&*engine, "residual-0", &["exit0"]);
        let second = prepare(&*engine, "residual-1", &["exit1"]);
        let image = first.allocate(0, 1).unwrap();
        let error = image.write(HostTensor::Float32(&[0.0; 5])).unwrap_err().to_string();
        assert!(error.contains("5 elements of float32"), "{name}: {error}");
        assert!(image.write(HostTensor::Uint8(&[0; IMAGE])).is_err(), "{name}");
        assert!(image.read(&mut [0.0; 5]).is_err(), "{name}");
        let Err(error) = second.bind(&[image], 1) else { panic!("{name} bound an image to a boundary") };
        let error = error.to_string();
        for part in ["residual-1", "\"h\"", "[1, 3, 8, 8]"] {
            assert!(error.contains(part), "{name}: {error}");
        }
        assert!(matches!(second.bind(&[], 1), Err(RunError::Form { .. })), "{name}");
        assert!(first.allocate(7, 1).is_err(), "{name}");
    }
}

#[test]
fn values_of_another_engine_are_refused() {
    let engines = engines();
    for (engine, other) in engines.iter().zip(engines.iter().skip(1)) {
        let foreign = prepare(&**other, "residual", &[]).allocate(0, 1).unwrap();
        let runner = prepare(&**engine, "residual", &[]);
        assert!(matches!(runner.bind(&[foreign], 1), Err(RunError::Foreign { .. })));
    }
}

#[test]
fn an_operator_that_the_engine_lacks_is_named_with_its_node_and_graph() {
    let path = fixture("unknown.onnx");
    for engine in engines() {
        let graph = GraphSource { label: "segment 1".to_owned(), origin: Origin::File(&path) };
        let Err(error) = engine.prepare(&graph, &RunnerOptions::default()) else { panic!("it was prepared") };
        let BackendError::Operator { backend, op, node, graph } = error else { panic!("{error:?}") };
        assert_eq!((backend, &*op, &*graph), (engine.describe().name, "Frobnicate", "segment 1"));
        assert_eq!(node, "knob", "{backend}");
    }
}

#[test]
fn a_broken_or_missing_file_is_an_error() {
    let whole = std::fs::read(fixture("residual.onnx")).unwrap();
    let nowhere = fixture("nowhere.onnx");
    for engine in engines() {
        let origins =
            [Origin::Bytes(&whole[..whole.len() / 2]), Origin::Bytes(b"not onnx"), Origin::File(&nowhere)];
        for origin in origins {
            let graph = GraphSource { label: "segment 0".to_owned(), origin };
            let Err(error) = engine.prepare(&graph, &RunnerOptions::default()) else { panic!("{origin:?}") };
            assert!(matches!(error, BackendError::Prepare { .. }), "{error:?}");
        }
    }
}

#[test]
fn bytes_and_a_file_of_one_graph_do_the_same() {
    let (images, logits) = expected("residual");
    let bytes = std::fs::read(fixture("residual.onnx")).unwrap();
    for engine in engines() {
        let graph = GraphSource { label: "whole".to_owned(), origin: Origin::Bytes(&bytes) };
        let options =
            RunnerOptions { host_outputs: vec!["exit0".into(), "exit1".into()], ..Default::default() };
        let runner = engine.prepare(&graph, &options).unwrap();
        let mut bound = runner.bind(&[fill(&*runner, 3, HostTensor::Float32(&images))], 3).unwrap();
        bound.run().unwrap();
        assert_close(&read(&bound.outputs()[0]), &logits[0].concat(), engine.describe().name);
    }
}

#[test]
fn values_are_written_and_read_as_bytes_image_by_image() {
    let (images, logits) = expected("residual");
    for engine in engines() {
        let name = engine.describe().name;
        let runner = prepare(&*engine, "residual", &["exit0", "exit1"]);
        let image = runner.allocate(0, 2).unwrap();
        for (row, pixels) in images.chunks(IMAGE).take(2).enumerate() {
            let bytes: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
            image.write_bytes(row * IMAGE * 4, &bytes).unwrap();
        }
        let mut bound = runner.bind(std::slice::from_ref(&image), 2).unwrap();
        bound.run().unwrap();
        let classes = logits[1][0].len();
        let mut second = vec![0; classes * 4];
        bound.outputs()[1].read_bytes(classes * 4, &mut second).unwrap();
        let second: Vec<f32> = second.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_close(&second, &logits[1][1], name);
        for (at, len) in [(1, IMAGE * 8), (IMAGE * 8, 4), (usize::MAX, 4)] {
            let refused = image.write_bytes(at, &vec![0; len]);
            assert!(matches!(refused, Err(RunError::Form { .. })), "{name}: {len} bytes at {at}");
            assert!(matches!(image.read_bytes(at, &mut vec![0; len]), Err(RunError::Form { .. })), "{name}");
        }
    }
}
