//! What preparing a bundle holds to.

use std::path::{Path, PathBuf};

use crate::engines::{assert_close, engines, expected, fixture, library, read};
use offramp_models::{
    Bundle, BundleError, Classes, DType, Exit, Input, Layout, Manifest, Segment, Sha256, Source, TensorSpec,
};
use offramp_runtime::backend::ort::{OrtBackend, Provider};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{
    Backend, BackendError, Description, GraphSource, HostTensor, Runner, RunnerOptions, Value,
};
use offramp_runtime::pipeline::{Feed, Pipeline};
use offramp_runtime::prepare::{Note, PrepareError, PrepareOptions, Prepared, Progress, Segments, prepare};

fn tensor(name: &str, shape: &[usize]) -> TensorSpec {
    let shape = std::iter::once(None).chain(shape.iter().copied().map(Some)).collect();
    TensorSpec { name: name.to_owned(), dtype: DType::Float32, shape }
}

/// The residual fixture as a bundle.
pub fn bundle(folder: &Path) -> Bundle {
    std::fs::create_dir_all(folder.join("segments")).unwrap();
    let seams = [
        (vec![tensor("image", &[3, 8, 8])], vec![tensor("exit0", &[4]), tensor("h", &[20, 8, 8])]),
        (vec![tensor("h", &[20, 8, 8])], vec![tensor("exit1", &[4])]),
    ];
    let segment = |(index, (inputs, outputs)): (usize, (Vec<_>, Vec<_>))| {
        let file = format!("segments/{index}.onnx");
        std::fs::copy(fixture(&format!("residual-{index}.onnx")), folder.join(&file)).unwrap();
        Segment {
            index,
            sha256: Sha256::of_file(&folder.join(&file)).unwrap(),
            file,
            data: None,
            inputs,
            outputs,
            macs: 1,
            params: 1,
            boundary_bytes: [5120, 0][index],
        }
    };
    let exit = |index: usize| Exit {
        index,
        name: format!("exit{index}"),
        logits: format!("exit{index}"),
        segment: index,
        macs: index as u64 + 1,
        macs_fraction: (index as f64 + 1.0) / 2.0,
        params: index as u64 + 1,
    };
    let manifest = Manifest {
        schema_version: 1,
        name: "residual".to_owned(),
        producer: "test".to_owned(),
        source: Source { file: "residual.onnx".to_owned(), sha256: Sha256::of(b"") },
        input: Input {
            name: "image".to_owned(),
            dtype: DType::Float32,
            shape: vec![None, Some(3), Some(8), Some(8)],
            layout: Layout::Nchw,
            range: [0.0, 1.0],
            mean: None,
            std: None,
        },
        classes: Classes { count: 4, names: None },
        exits: (0..2).map(exit).collect(),
        segments: seams.into_iter().enumerate().map(segment).collect(),
        extras: Vec::new(),
    };
    std::fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    Bundle::open(folder).unwrap()
}

/// Prepares without a word.
pub fn quietly(bundle: &Bundle, engine: &dyn Backend, cache: Option<PathBuf>) -> Prepared {
    let options = PrepareOptions { cache, ..PrepareOptions::default() };
    prepare(bundle, engine, &options, &mut |_| {}).unwrap()
}

/// Logits of every exit for a batch, through all segments; `choose` picks images before the second.
fn run(pipeline: &Pipeline, images: &[f32], batch: usize, choose: Option<&[usize]>) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<Value>> = Vec::new();
    let (mut logits, mut batch) = (Vec::new(), batch);
    let image = pipeline.stages()[0].runner.allocate(0, batch).unwrap();
    image.write(HostTensor::Float32(images)).unwrap();
    for (index, stage) in pipeline.stages().iter().enumerate() {
        let feeds = stage.feeds.iter().map(|feed| {
            let value = match feed {
                Feed::Image => image.clone(),
                Feed::Output { stage, output } => values[*stage][*output].clone(),
            };
            choose
                .filter(|_| index == 1)
                .map_or_else(|| value.clone(), |images| value.select(images).unwrap())
        });
        let feeds: Vec<_> = feeds.collect();
        if index == 1 {
            batch = choose.map_or(batch, <[usize]>::len);
        }
        let mut bound = stage.runner.bind(&feeds, batch).unwrap();
        bound.run().unwrap();
        logits.push(read(&bound.outputs()[stage.logits]));
        values.push(bound.outputs().to_vec());
    }
    logits
}

#[test]
fn prepared_segments_give_what_the_whole_network_gives() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let (images, logits) = expected("residual");
    for engine in engines() {
        let Prepared { pipeline, segments, notes, .. } = quietly(&bundle, &*engine, None);
        assert!(notes.is_empty(), "{notes:?}");
        let wanted = if engine.saves_optimised() { Segments::Optimised } else { Segments::AsBundled };
        assert_eq!(segments, wanted);
        let name = engine.describe().name;
        let found = run(&pipeline, &images[..192], 1, None);
        assert_close(&found[0], &logits[0][0], name);
        assert_close(&found[1], &logits[1][0], name);
        // Twenty channels fill no block: what crosses the cut is padded where the engine blocks its tensors.
        let found = run(&pipeline, &images, 3, Some(&[2, 1]));
        assert_close(&found[0], &logits[0].concat(), name);
        assert_close(&found[1], &[&*logits[1][2], &*logits[1][1]].concat(), name);
    }
}

#[test]
fn progress_names_every_segment() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for engine in engines() {
        let mut seen = Vec::new();
        prepare(&bundle, &*engine, &PrepareOptions::default(), &mut |step| seen.push(step)).unwrap();
        assert_eq!(seen.first(), Some(&Progress::Checking));
        assert_eq!(seen.contains(&Progress::Optimising), engine.saves_optimised());
        let [zero, one] = [0, 1].map(|index| Progress::Segment { index, of: 2 });
        assert_eq!(seen[seen.len() - 3..], [zero, one, Progress::TryingOut]);
    }
}

#[test]
fn a_segment_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    std::fs::write(folder.path().join("segments/1.onnx"), "changed").unwrap();
    for engine in engines() {
        let result = prepare(&bundle, &*engine, &PrepareOptions::default(), &mut |_| {});
        assert!(matches!(result, Err(PrepareError::Bundle(BundleError::Tampered { .. }))));
    }
}

/// tract, claiming what it cannot do.
struct Boasting;

impl Backend for Boasting {
    fn describe(&self) -> Description {
        TractBackend::new().describe()
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        TractBackend::new().prepare(graph, options)
    }

    fn saves_optimised(&self) -> bool {
        true
    }
}

#[test]
fn where_no_optimised_graph_can_be_cut_the_bundled_segments_run_and_a_note_says_why() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let prepared = quietly(&bundle(folder.path()), &Boasting, Some(cache.path().to_owned()));
    assert_eq!(prepared.segments, Segments::AsBundled);
    let [Note::Uncut { source }] = &prepared.notes[..] else { panic!("{:?}", prepared.notes) };
    assert!(source.to_string().contains("optimised.onnx"), "{source}");
    let (images, logits) = expected("residual");
    assert_close(&run(&prepared.pipeline, &images, 3, None)[1], &logits[1].concat(), "bundled");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is left lying about");
}

#[test]
fn optimised_segments_are_kept_and_used_again_until_they_are_changed() {
    let Some(library) = library() else { return };
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (bundle, engine) = (bundle(folder.path()), OrtBackend::new(library, Provider::Cpu));
    let again = || quietly(&bundle, &engine, Some(cache.path().to_owned()));
    let made = again();
    assert_eq!((made.segments, made.kept), (Segments::Optimised, true));
    let kept = again();
    assert!(kept.kept);
    assert_eq!(kept.segments, Segments::Cached);
    let (images, logits) = expected("residual");
    assert_close(&run(&kept.pipeline, &images, 3, None)[1], &logits[1].concat(), "kept");
    let entry = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(entry.join("1.onnx")).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(entry.join("1.onnx"), bytes).unwrap();
    assert_eq!(again().segments, Segments::Optimised);
    assert_eq!(again().segments, Segments::Cached);
}

#[test]
fn a_cache_that_cannot_be_written_is_said_and_does_not_stop_the_run() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (bundle, engine) = (bundle(folder.path()), OrtBackend::new(library, Provider::Cpu));
    let occupied = folder.path().join("occupied");
    std::fs::write(&occupied, "a file").unwrap();
    let prepared = quietly(&bundle, &engine, Some(occupied));
    assert_eq!(prepared.segments, Segments::Optimised);
    assert!(!prepared.kept);
    assert!(matches!(&prepared.notes[..], [Note::NotCached { .. }]), "{:?}", prepared.notes);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_write_is_neither_read_nor_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(library) = library() else { return };
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (bundle, engine) = (bundle(folder.path()), OrtBackend::new(library, Provider::Cpu));
    let again = || quietly(&bundle, &engine, Some(cache.path().to_owned()));
    again();
    let entry = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    for folder in [cache.path(), &entry] {
        let open = |mode| {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(0o777);
        let prepared = again();
        assert_eq!((prepared.segments, prepared.kept), (Segments::Optimised, false));
        let [Note::NotTrusted { folder: named, .. }] = &prepared.notes[..] else {
            panic!("{:?}", prepared.notes)
        };
        assert_eq!(named, folder);
        open(0o755);
        assert_eq!(again().segments, Segments::Cached);
    }
}

/// An engine whose disk is full: what it saves ends in the middle, and so does all that is written beside it.
struct Full<'a>(OrtBackend, &'a Path);

impl Backend for Full<'_> {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        match &options.save_optimised {
            Some(path) if path.starts_with(self.1) => {
                // A folder in the way of what tells a full disk.
                std::fs::create_dir(path.with_file_name("probe")).unwrap();
                let graph = graph.label.clone();
                Err(BackendError::Prepare { backend: "ort", graph, source: "saving failed".into() })
            }
            _ => self.0.prepare(graph, options),
        }
    }

    fn saves_optimised(&self) -> bool {
        true
    }
}

#[test]
fn a_cache_without_room_is_told_as_such_and_the_optimised_segments_run() {
    let Some(library) = library() else { return };
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = Full(OrtBackend::new(library, Provider::Cpu), cache.path());
    let prepared = quietly(&bundle(folder.path()), &engine, Some(cache.path().to_owned()));
    assert_eq!((prepared.segments, prepared.kept), (Segments::Optimised, false));
    let [Note::NotCached { cache: named, .. }] = &prepared.notes[..] else { panic!("{:?}", prepared.notes) };
    assert_eq!(named, cache.path());
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is left lying about");
    let temporary = std::env::temp_dir();
    let engine = Full(OrtBackend::new(library, Provider::Cpu), &temporary);
    let prepared = quietly(&bundle(folder.path()), &engine, None);
    assert_eq!(prepared.segments, Segments::AsBundled);
    assert!(matches!(&prepared.notes[..], [Note::Unwritten { .. }]), "{:?}", prepared.notes);
}

/// The bundle's manifest after a change, its digests as they were.
fn retold(folder: &Path, change: impl FnOnce(&mut Manifest)) -> Bundle {
    let mut manifest = bundle(folder).manifest().clone();
    change(&mut manifest);
    std::fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    Bundle::open(folder).unwrap()
}

#[test]
fn a_file_that_is_not_what_the_manifest_says_is_refused_on_every_backend() {
    type Change<'a> = &'a dyn Fn(&mut Manifest);
    let folder = tempfile::tempdir().unwrap();
    let half = |manifest: &mut Manifest, form: fn(&mut TensorSpec)| {
        form(&mut manifest.segments[0].outputs[1]);
        form(&mut manifest.segments[1].inputs[0]);
        manifest.segments[0].boundary_bytes = manifest.segments[1].inputs[0].bytes_per_image() as u64;
    };
    let changes: [(&str, Change<'_>); 5] = [
        (
            r#"the manifest says that segment 0 gives "h" float32 [batch, 10, 8, 8], its file says float32 [batch, 20, 8, 8]"#,
            &|m| half(m, |h| h.shape[1] = Some(10)),
        ),
        (
            r#"the manifest says that segment 0 gives "h" float16 [batch, 20, 8, 8], its file says float32 [batch, 20, 8, 8]"#,
            &|m| half(m, |h| h.dtype = DType::Float16),
        ),
        (
            r#"the manifest says that segment 0 gives "h" float32 [1, 20, 8, 8], its file says float32 [batch, 20, 8, 8]"#,
            &|m| half(m, |h| h.shape[0] = Some(1)),
        ),
        (
            r#"the manifest says that segment 0 gives "g" float32 [batch, 20, 8, 8], its file does not"#,
            &|m| half(m, |h| h.name = "g".to_owned()),
        ),
        (r#"segment 1 takes "h", which the manifest does not say"#, &|m| {
            m.segments[1].inputs.clear();
            m.segments[0].boundary_bytes = 0;
        }),
    ];
    for (expected, change) in changes {
        let bundle = retold(folder.path(), change);
        for engine in engines() {
            let refused = prepare(&bundle, &*engine, &PrepareOptions::default(), &mut |_| {});
            let Err(error @ PrepareError::Seam(_)) = refused else { panic!("{expected}: accepted") };
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn processes_that_prepare_at_once_all_get_segments_that_run() {
    let Some(library) = library() else { return };
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bundle = bundle(folder.path());
    let (images, logits) = expected("residual");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = OrtBackend::new(library, Provider::Cpu);
                let prepared = quietly(&bundle, &engine, Some(cache.path().to_owned()));
                assert!(prepared.notes.is_empty(), "{:?}", prepared.notes);
                assert_close(&run(&prepared.pipeline, &images, 3, None)[1], &logits[1].concat(), "at once");
            });
        }
    });
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1);
}
