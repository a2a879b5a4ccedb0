//! The oracle on a backend: one forward and one backward graph, wired to each other.
//!
//! The residuals that the backward graph needs never leave the engine: they are the forward graph's outputs, bound as
//! the backward graph's inputs. Where the engine can, both are optimised as one graph and cut where the cotangents come
//! in, so that residuals stay in the layout it computes in; what the second graph takes then differs from the first's
//! residuals on disk.

use offramp_exporter::gradient::{self, Gradients};
use offramp_models::dataset::Picture;
use offramp_models::preprocess::{HostBuffer, Preprocessor};
use offramp_models::{DType, Manifest};
use offramp_runtime::backend::{Backend, Bound, EngineError, HostTensor, RunError, Runner, Value};
use offramp_runtime::confidence::NotFinite;
use offramp_runtime::prepare::pair::{Half, Pair, pair};

use super::{Oracle, OracleError};

/// The gradient graphs of one bundle on one backend.
pub struct GraphOracle {
    preprocessor: Preprocessor,
    fixed_batch: Option<usize>,
    classes: usize,
    forward: Box<dyn Runner>,
    backward: Box<dyn Runner>,
    apart: Option<EngineError>,
    ports: Ports,
    /// One per batch size seen, the latest in front.
    wired: Vec<Wired>,
    input: HostBuffer,
    picture: Picture,
    /// One exit's logits or cotangents, or the gradient, for a batch.
    scratch: Vec<f32>,
}

/// Positions among the graphs' inputs and outputs.
struct Ports {
    /// Of each exit's logits among the forward graph's outputs.
    logits: Vec<usize>,
    /// For each of the backward graph's inputs.
    feeds: Vec<Feed>,
    /// Of the gradient among the backward graph's outputs.
    gradient: usize,
}

enum Feed {
    /// The forward graph's input.
    Image,
    /// Cotangents of an exit's logits.
    Cotangent(usize),
    /// An output of the forward graph.
    Residual(usize),
}

/// Both graphs bound for one batch size.
struct Wired {
    batch: usize,
    image: Value,
    forward: Box<dyn Bound>,
    /// By exit; `None` where no gradient flows from an exit.
    cotangents: Vec<Option<Value>>,
    backward: Box<dyn Bound>,
    /// Whether the forward graph has run since the batch was wired.
    ran: bool,
}

/// How many batch sizes stay wired: the batch, and what is left of the data.
const KEPT: usize = 2;

impl GraphOracle {
    /// Prepares both graphs of the network that `manifest` describes.
    ///
    /// # Errors
    /// `Backend` when the engine cannot run one, `Tensor` when they belong to another network, `Input` when no picture
    /// can become the network's input.
    pub fn new(
        manifest: &Manifest,
        gradients: &Gradients,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Self, OracleError> {
        let logits: Vec<String> = manifest.exits.iter().map(|exit| exit.logits.clone()).collect();
        let gradient = gradient::gradient_name(&manifest.input.name);
        let late: Vec<String> = logits.iter().map(|logits| gradient::cotangent_name(logits)).collect();
        let forward =
            Half { model: &gradients.forward, label: "the forward graph", host_outputs: logits.clone() };
        let backward = Half {
            model: &gradients.backward,
            label: "the backward graph",
            host_outputs: vec![gradient.clone()],
        };
        let Pair { first: forward, second: backward, apart } =
            pair(&forward, &backward, &late, backend, threads)?;
        let ports = Ports::of(&manifest.input.name, &logits, &gradient, forward.as_ref(), backward.as_ref())?;
        Ok(Self {
            preprocessor: Preprocessor::new(&manifest.input)?,
            fixed_batch: manifest.input.fixed_batch(),
            classes: manifest.classes.count,
            forward,
            backward,
            apart,
            ports,
            wired: Vec::with_capacity(KEPT),
            input: HostBuffer::default(),
            picture: Picture::default(),
            scratch: Vec::new(),
        })
    }

    /// Why the two graphs were prepared one by one where the engine could have optimised them as one.
    pub fn apart(&self) -> Option<&EngineError> {
        self.apart.as_ref()
    }

    /// Brings the wiring for `batch` to the front.
    fn wire(&mut self, batch: usize) -> Result<(), OracleError> {
        if let Some(place) = self.wired.iter().position(|wired| wired.batch == batch) {
            self.wired.swap(0, place);
            return Ok(());
        }
        self.wired.truncate(KEPT - 1);
        let wired = Wired::new(self.forward.as_ref(), self.backward.as_ref(), &self.ports, batch)?;
        self.wired.insert(0, wired);
        Ok(())
    }
}

impl Ports {
    fn of(
        image: &str,
        logits: &[String],
        gradient: &str,
        forward: &dyn Runner,
        backward: &dyn Runner,
    ) -> Result<Self, OracleError> {
        let lacking = |tensor: &str| OracleError::Tensor { tensor: tensor.to_owned() };
        let output = |name: &str| forward.outputs().iter().position(|spec| spec.name == name);
        let feeds = backward.inputs().iter().map(|spec| {
            let exit =
                spec.name.strip_prefix("cotangent.").and_then(|of| logits.iter().position(|l| l == of));
            match exit {
                Some(exit) => Ok(Feed::Cotangent(exit)),
                None if spec.name == image => Ok(Feed::Image),
                None => output(&spec.name).map(Feed::Residual).ok_or_else(|| lacking(&spec.name)),
            }
        });
        let feeds = feeds.collect::<Result<_, _>>()?;
        let logits = logits.iter().map(|name| output(name).ok_or_else(|| lacking(name)));
        let logits = logits.collect::<Result<_, _>>()?;
        let place = backward.outputs().iter().position(|spec| spec.name == gradient);
        Ok(Self { logits, feeds, gradient: place.ok_or_else(|| lacking(gradient))? })
    }
}

impl Wired {
    fn new(
        forward: &dyn Runner,
        backward: &dyn Runner,
        ports: &Ports,
        batch: usize,
    ) -> Result<Self, OracleError> {
        let forwards = |source| OracleError::Run { pass: "forward", source };
        let backwards = |source| OracleError::Run { pass: "backward", source };
        let image = forward.allocate(0, batch).map_err(forwards)?;
        let bound = forward.bind(std::slice::from_ref(&image), batch).map_err(forwards)?;
        let mut cotangents = vec![None; ports.logits.len()];
        let mut inputs = Vec::with_capacity(ports.feeds.len());
        for (input, feed) in ports.feeds.iter().enumerate() {
            inputs.push(match *feed {
                Feed::Image => image.clone(),
                Feed::Residual(output) => bound.outputs()[output].clone(),
                Feed::Cotangent(exit) => {
                    let value = backward.allocate(input, batch).map_err(backwards)?;
                    cotangents[exit] = Some(value.clone());
                    value
                }
            });
        }
        let backward = backward.bind(&inputs, batch).map_err(backwards)?;
        Ok(Self { batch, image, forward: bound, cotangents, backward, ran: false })
    }
}

impl Oracle for GraphOracle {
    fn exits(&self) -> usize {
        self.ports.logits.len()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn samples(&self) -> usize {
        self.preprocessor.shape().samples()
    }

    fn fixed_batch(&self) -> Option<usize> {
        self.fixed_batch
    }

    fn forward(&mut self, pixels: &[f32], logits: &mut [f32]) -> Result<(), OracleError> {
        let (samples, exits, classes) = (self.samples(), self.exits(), self.classes);
        let batch = pixels.len() / samples;
        length("pixels", batch.max(1) * samples, pixels.len())?;
        length("logits", batch * exits * classes, logits.len())?;
        self.wire(batch)?;
        self.input.clear();
        for image in pixels.chunks_exact(samples) {
            self.picture.fill_f32(self.preprocessor.shape()).copy_from_slice(image);
            self.preprocessor.append(&self.picture, &mut self.input)?;
        }
        let failed = |source| OracleError::Run { pass: "forward", source };
        let wired = &mut self.wired[0];
        let input = match self.preprocessor.dtype() {
            DType::Uint8 => HostTensor::Uint8(self.input.uint8()),
            _ => HostTensor::Float32(self.input.float32()),
        };
        wired.image.write(input).map_err(failed)?;
        wired.forward.run().map_err(failed)?;
        wired.ran = true;
        self.scratch.resize(batch * classes, 0.0);
        for (exit, &output) in self.ports.logits.iter().enumerate() {
            wired.forward.outputs()[output].read(&mut self.scratch).map_err(failed)?;
            for (image, row) in self.scratch.chunks_exact(classes).enumerate() {
                if let Some(class) = row.iter().position(|logit| !logit.is_finite()) {
                    let source = NotFinite { exit, class, found: row[class] };
                    return Err(OracleError::Logits { image, source });
                }
                let first = (image * exits + exit) * classes;
                logits[first..first + classes].copy_from_slice(row);
            }
        }
        Ok(())
    }

    fn backward(&mut self, cotangents: &[f32], gradient: &mut [f32]) -> Result<(), OracleError> {
        let (samples, exits, classes) = (self.samples(), self.exits(), self.classes);
        let latest = self.wired.first_mut().filter(|wired| wired.ran);
        let batch = latest.as_ref().map_or(0, |wired| wired.batch);
        length("cotangents", batch * exits * classes, cotangents.len())?;
        length("gradient", batch * samples, gradient.len())?;
        let Some(wired) = latest else { return Ok(()) };
        let failed = |source: RunError| OracleError::Run { pass: "backward", source };
        self.scratch.resize(batch * classes, 0.0);
        for (exit, value) in wired.cotangents.iter().enumerate() {
            let Some(value) = value else { continue };
            let rows = cotangents.chunks_exact(classes).skip(exit).step_by(exits);
            for (into, row) in self.scratch.chunks_exact_mut(classes).zip(rows) {
                into.copy_from_slice(row);
            }
            value.write(HostTensor::Float32(&self.scratch)).map_err(failed)?;
        }
        wired.backward.run().map_err(failed)?;
        self.scratch.resize(batch * samples, 0.0);
        wired.backward.outputs()[self.ports.gradient].read(&mut self.scratch).map_err(failed)?;
        for (from, into) in self.scratch.chunks_exact(samples).zip(gradient.chunks_exact_mut(samples)) {
            self.preprocessor.pull_back(from, into);
        }
        match gradient.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                Err(OracleError::Gradient { image: at / samples, sample: at % samples, found: gradient[at] })
            }
            None => Ok(()),
        }
    }
}

fn length(what: &'static str, expected: usize, found: usize) -> Result<(), OracleError> {
    if expected == found { Ok(()) } else { Err(OracleError::Length { what, expected, found }) }
}
