//! An early-exit network that answers whoever asks over a serial line.
//!
//! Engines need not be able to move between threads: the network stays where it was made, and the line's thread asks it.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use offramp_firmware_host::{Inference, Network};
use offramp_models::DType;
use offramp_models::dataset::{Chw, Picture};
use offramp_models::preprocess::{HostBuffer, Preprocessor};
use offramp_runtime::backend::HostTensor;
use offramp_runtime::executor::Executor;
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::policy::Policy;

type Refusal = Box<dyn Error + Send + Sync>;
type Answer = Result<Inference, Refusal>;

/// An image, and who wants to know.
struct Question {
    image: Vec<u8>,
    answer: SyncSender<Answer>,
}

/// The line's end: a [`Network`] for a device or a simulated board.
pub struct Asking {
    name: String,
    image_bytes: usize,
    questions: SyncSender<Question>,
}

/// The network's end.
pub struct Answering<'a> {
    executor: Executor<'a>,
    preprocessor: Preprocessor,
    shape: Chw,
    picture: Picture,
    buffer: HostBuffer,
    asked: usize,
    questions: Receiver<Question>,
}

/// Both ends for `pipeline`, called `name`. Images are uint8, row by row, channels last: height x width x channels bytes.
///
/// # Errors
/// When segments cannot be wired or run.
pub fn pair<'a>(
    name: &str,
    pipeline: &'a Pipeline,
    policy: &'a dyn Policy,
) -> anyhow::Result<(Asking, Answering<'a>)> {
    let (questions, asked) = sync_channel(1);
    let preprocessor = Preprocessor::new(pipeline.input())?;
    let shape = preprocessor.shape();
    let mut answering = Answering {
        executor: Executor::new(pipeline, policy, NonZeroUsize::MIN)?,
        preprocessor,
        shape,
        picture: Picture::default(),
        buffer: HostBuffer::default(),
        asked: 0,
        questions: asked,
    };
    answering.infer(&vec![0; shape.samples()]).map_err(anyhow::Error::from_boxed)?;
    Ok((Asking { name: name.to_owned(), image_bytes: shape.samples(), questions }, answering))
}

impl Network for Asking {
    fn name(&self) -> &str {
        &self.name
    }

    fn image_bytes(&self) -> usize {
        self.image_bytes
    }

    fn infer(&mut self, image: &[u8]) -> Answer {
        let (answer, answered) = sync_channel(1);
        self.questions.send(Question { image: image.to_vec(), answer })?;
        answered.recv()?
    }
}

impl Answering<'_> {
    /// Answers until nobody can ask any more, or `ended` says so.
    pub fn answer(mut self, mut ended: impl FnMut() -> bool) {
        while !ended() {
            match self.questions.recv_timeout(Duration::from_millis(50)) {
                Ok(Question { image, answer }) => {
                    // Whoever asked may have left.
                    let _left = answer.send(self.infer(&image));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn infer(&mut self, image: &[u8]) -> Answer {
        let Self { shape, picture, buffer, preprocessor, executor, .. } = self;
        let Chw { channels, height, width } = *shape;
        if image.len() != shape.samples() {
            return Err(
                format!("an image is {height} x {width} x {channels} bytes, got {}", image.len()).into()
            );
        }
        let plane = height * width;
        let samples = picture.fill_u8(*shape);
        for (at, pixel) in image.chunks_exact(channels).enumerate() {
            for (channel, sample) in pixel.iter().enumerate() {
                samples[channel * plane + at] = *sample;
            }
        }
        preprocessor.apply(picture, buffer)?;
        let tensor = match preprocessor.dtype() {
            DType::Uint8 => HostTensor::Uint8(buffer.uint8()),
            _ => HostTensor::Float32(buffer.float32()),
        };
        let outcome = executor.run_one(self.asked, tensor)?;
        let inference = Inference {
            scores: Vec::new(),
            label: u16::try_from(outcome.predicted)?,
            exit: u8::try_from(outcome.exit)?,
            confidence: outcome.confidence.get(),
            latency: outcome.latency,
            energy_j: None,
        };
        self.asked = self.asked.wrapping_add(1);
        Ok(Inference { scores: softmax(executor.last_logits()), ..inference })
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
