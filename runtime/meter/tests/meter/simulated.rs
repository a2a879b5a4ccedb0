//! A world in which time passes as fast as it is computed: power by waveforms, a shunt monitor that sees it, a meter on top.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use offramp_meter::probe::Sample;
use offramp_meter::protocol::{Clock, Load, Work};
use offramp_meter::{
    Description, Glance, Meter, MeterError, NotMeasured, Overhead, Quantity, Rail, Reading, Recorder, Watts,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::waveform::Waveform;

/// What drew how much since when.
#[derive(Debug)]
pub struct World {
    /// Beginnings in seconds, joules up to there, and what follows.
    segments: Vec<(f64, f64, Waveform)>,
    now: f64,
    pub idle: f64,
    /// Watts that idling rises by in a second.
    pub drift: f64,
}

pub type Shared = Rc<RefCell<World>>;

impl World {
    pub fn new(idle: f64) -> Shared {
        Rc::new(RefCell::new(Self { segments: Vec::new(), now: 0.0, idle, drift: 0.0 }))
    }

    pub fn pass(&mut self, seconds: f64, waveform: Waveform) {
        let (at, before) = (self.now, self.energy(self.now));
        self.segments.push((at, before, waveform));
        self.now += seconds;
    }

    /// The last waveform goes on.
    pub fn pass_on(&mut self, seconds: f64) {
        self.now += seconds;
    }

    pub fn now(&self) -> f64 {
        self.now
    }

    /// What idling takes now.
    pub fn idle_now(&self) -> f64 {
        self.idle + self.drift * self.now
    }

    /// Joules from the beginning to `t`.
    pub fn energy(&self, t: f64) -> f64 {
        let after = self.segments.partition_point(|(start, ..)| *start <= t);
        self.segments[..after]
            .last()
            .map_or(0.0, |(start, before, waveform)| before + waveform.energy(t - start))
    }
}

/// A clock of the world: sleeping is idling.
pub struct SimulatedClock(pub Shared);

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        Duration::from_secs_f64(self.0.borrow().now())
    }

    fn sleep(&self, time: Duration) {
        let mut world = self.0.borrow_mut();
        let power = world.idle_now();
        world.pass(time.as_secs_f64(), Waveform::Constant(power));
    }
}

/// A sensor as its data sheet has it.
#[derive(Clone, Copy, Debug)]
pub struct Sensor {
    pub volts: f64,
    pub shunt_milliohm: f64,
    pub samples: u32,
    pub conversion_s: f64,
    pub offset_uv: f64,
    pub gain: f64,
}

impl Sensor {
    /// Orin Nano and NX: 5 mOhm at 5 V, three channels, 1.1 ms.
    pub const NANO: Self = Self {
        volts: 5.043,
        shunt_milliohm: 5.0,
        samples: 16,
        conversion_s: 1.1e-3,
        offset_uv: 0.0,
        gain: 1.0,
    };

    /// AGX Orin: 2 mOhm at 20 V.
    pub const AGX: Self = Self { volts: 19.93, shunt_milliohm: 2.0, ..Self::NANO };

    fn cycle_s(&self) -> f64 {
        6.0 * self.conversion_s
    }

    pub fn time_constant_s(&self) -> f64 {
        self.cycle_s() * f64::from(self.samples)
    }

    fn amp_step(&self) -> f64 {
        40e-6 / (self.shunt_milliohm * 1e-3)
    }

    /// Watts of one step at `power`.
    pub fn step_w(&self, power: f64) -> f64 {
        self.amp_step() * self.volts + 0.008 * power / self.volts
    }
}

/// The meter that reads the sensor at jittered moments.
pub struct SimulatedMeter {
    world: Shared,
    sensor: Sensor,
    description: Description,
    recorder: Recorder,
    random: ChaCha8Rng,
    next_poll: f64,
    next_cycle: f64,
    /// Volts over the shunt, averaged.
    shunt: f64,
    open: bool,
    /// Every such read fails.
    pub fails_every: Option<u64>,
    reads: u64,
}

const PERIOD_S: f64 = 0.01;

impl SimulatedMeter {
    pub fn new(world: &Shared, sensor: Sensor, seed: u64) -> Self {
        let mut description = Description::empty("simulated", NotMeasured::energy("no rule"));
        description.rails = vec![Rail {
            time_constant: Some(Duration::from_secs_f64(sensor.time_constant_s())),
            update: Some(Duration::from_secs_f64(sensor.cycle_s())),
            offset_steps: Some(2.0),
            gain: Some(0.0025),
            plausible: [Watts(-10.0), Watts(1000.0)],
            ..Rail::new("VDD_IN", "", Quantity::Power)
        }];
        description.choose_total(&["VDD_IN"]).unwrap();
        description.period = Duration::from_secs_f64(PERIOD_S);
        let shunt = world.borrow().idle / sensor.volts * sensor.shunt_milliohm * 1e-3;
        Self {
            recorder: Recorder::new(&description, description.period),
            description,
            world: Rc::clone(world),
            sensor,
            random: ChaCha8Rng::seed_from_u64(seed),
            next_poll: 0.0,
            next_cycle: 0.0,
            shunt,
            open: false,
            fails_every: None,
            reads: 0,
        }
    }

    /// The registers as the driver shows them: whole millivolts and milliamperes.
    fn sample(&mut self) -> Result<Sample, offramp_meter::probe::Lost> {
        self.reads += 1;
        if self.fails_every.is_some_and(|every| self.reads.is_multiple_of(every)) {
            return Err(offramp_meter::probe::Lost::Busy);
        }
        let seen = self.shunt * self.sensor.gain + self.sensor.offset_uv * 1e-6;
        let amps = (seen / 40e-6).round() * self.sensor.amp_step();
        let milliamps = (amps * 1e3).round() as i64;
        let millivolts = (self.sensor.volts / 0.008).round() as i64 * 8;
        let step = self.sensor.amp_step() * 1e3 * millivolts as f64 + 8.0 * milliamps.unsigned_abs() as f64;
        Ok(Sample { value: millivolts * milliamps, step: Some(step as i64) })
    }

    /// Conversions up to `to`: each sees the mean current while it lasts.
    fn convert(&mut self, to: f64) {
        let world = self.world.borrow();
        while self.next_cycle + self.sensor.conversion_s <= to {
            let end = self.next_cycle + self.sensor.conversion_s;
            let power = (world.energy(end) - world.energy(self.next_cycle)) / self.sensor.conversion_s;
            let shunt = power / self.sensor.volts * self.sensor.shunt_milliohm * 1e-3;
            self.shunt += (shunt - self.shunt) / f64::from(self.sensor.samples);
            self.next_cycle += self.sensor.cycle_s();
        }
    }

    fn poll(&mut self, to: f64) {
        while self.next_poll <= to {
            let at = self.next_poll;
            self.convert(at);
            if self.open {
                let sample = self.sample();
                self.recorder.row(Duration::from_secs_f64(at), &[sample]);
            }
            self.next_poll += PERIOD_S * self.random.random_range(0.8..1.2);
        }
        self.convert(to);
    }

    fn row_now(&mut self) -> Duration {
        let now = self.world.borrow().now();
        self.poll(now);
        let sample = self.sample();
        self.recorder.row(Duration::from_secs_f64(now), &[sample]);
        Duration::from_secs_f64(now)
    }
}

impl Meter for SimulatedMeter {
    fn description(&self) -> &Description {
        &self.description
    }

    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        Ok(Overhead {
            sample: Duration::from_millis(1),
            cpu_per_sample: None,
            cpu_share: None,
            per_second: None,
        })
    }

    fn start(&mut self) -> Result<(), MeterError> {
        self.recorder.forget();
        let now = self.row_now();
        self.recorder.open(now);
        self.open = true;
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        if !std::mem::take(&mut self.open) {
            return Err(MeterError::NotStarted);
        }
        let now = self.world.borrow().now();
        self.open = true;
        self.poll(now);
        self.open = false;
        self.recorder.close(Duration::from_secs_f64(now));
        self.row_now();
        self.recorder.reading().ok_or(MeterError::NotStarted)
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        self.row_now();
        let sample = self.sample();
        let power = sample.map(|sample| Watts(sample.value as f64 * 1e-6));
        let power = power.map_err(|lost| NotMeasured::new("power_w", lost.reason()));
        Ok(vec![Glance { name: "VDD_IN".to_owned(), power }])
    }
}

/// Images of exits in shares that may change from call to call.
pub struct SimulatedLoad {
    pub name: String,
    pub world: Shared,
    /// Joules above idle and seconds of an image, by exit.
    pub exits: Vec<(f64, f64)>,
    /// Shares of the exits for the next call; the call's number tells which.
    pub shares: Box<dyn FnMut(u64) -> Vec<f64>>,
    /// Watts, of one standard deviation, that each call differs by.
    pub noise: f64,
    pub random: ChaCha8Rng,
    pub calls: u64,
}

impl SimulatedLoad {
    /// Every image takes the same.
    pub fn steady(name: &str, world: &Shared, joules: f64, seconds: f64) -> Self {
        Self {
            name: name.to_owned(),
            world: Rc::clone(world),
            exits: vec![(joules, seconds)],
            shares: Box::new(|_| vec![1.0]),
            noise: 0.0,
            random: ChaCha8Rng::seed_from_u64(0),
            calls: 0,
        }
    }
}

/// A number of the standard normal distribution, by twelve of the uniform one.
pub fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

impl Load for SimulatedLoad {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&mut self, time: Duration) -> Result<Work, Box<dyn Error + Send + Sync>> {
        let shares = (self.shares)(self.calls);
        self.calls += 1;
        let mean: f64 = shares.iter().zip(&self.exits).map(|(share, (_, seconds))| share * seconds).sum();
        let images = (time.as_secs_f64() / mean).ceil();
        let exits: Vec<u64> = shares.iter().map(|share| (share * images).round() as u64).collect();
        let (mut seconds, mut joules) = (0.0, 0.0);
        for (count, (of_image, lasting)) in exits.iter().zip(&self.exits) {
            joules += *count as f64 * of_image;
            seconds += *count as f64 * lasting;
        }
        let noise = self.noise * normal(&mut self.random);
        let mut world = self.world.borrow_mut();
        let power = world.idle_now() + joules / seconds + noise;
        world.pass(seconds, Waveform::Constant(power));
        Ok(Work { images: exits.iter().sum(), exits })
    }
}
