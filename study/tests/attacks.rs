//! What every attack keeps, and what each is after, on a network whose gradient is known by hand.
#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod toy;

use offramp_models::dataset::{self, Chw, DataError, Dataset, OpenOptions, Picture, Samples};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::PolicySpec;
use offramp_study::adversarial::{Craft, CraftError, Labels, craft};
use offramp_study::attack::{
    Attack, AttackError, Ball, Batch, Distance, Early, EarlyMode, EarlyStart, Keep, Norm, PgdOptions, fgsm,
    mi_fgsm, pgd,
};
use offramp_study::loss::{Aim, CrossEntropy, EarlyExits, EarlyLoss, Logits, Loss, Rivals, TowardsUniform};
use offramp_study::method::{Kind, Method, MethodError, Target, Walk};
use offramp_study::oracle::{Oracle, OracleError};
use toy::{CLASSES, EXITS, SAMPLES, Toy, pixels};

/// The network's own answers at its final exit.
fn answers(pixels: &[f32]) -> Vec<usize> {
    let logits = Toy::new().logits(pixels);
    logits
        .chunks_exact(EXITS * CLASSES)
        .map(|image| Logits::new(image, CLASSES).predicted(EXITS - 1))
        .collect()
}

fn perturb(attack: &dyn Attack, oracle: &mut Toy, pixels: &[f32], labels: &[usize]) -> Vec<f32> {
    let indices: Vec<usize> = (0..labels.len()).collect();
    attack.perturb(oracle, Batch { indices: &indices, pixels, labels }, &mut || true).unwrap()
}

/// Mean loss at `pixels`.
fn mean_loss(loss: &dyn Loss, pixels: &[f32], labels: &[usize]) -> f64 {
    let logits = Toy::new().logits(pixels);
    let mut cotangents = vec![0.0; EXITS * CLASSES];
    let images = logits.chunks_exact(EXITS * CLASSES).zip(labels);
    let sum: f64 =
        images.map(|(l, label)| loss.evaluate(Logits::new(l, CLASSES), *label, &mut cotangents)).sum();
    sum / labels.len() as f64
}

fn losses() -> Vec<(&'static str, Box<dyn Loss>)> {
    let policy = PolicySpec::confidence(Measure::MaxSoftmax, Threshold::new(0.6).unwrap());
    let early = |alpha, exits| Box::new(EarlyLoss { alpha, exits, rivals: Rivals::All });
    vec![
        ("final", Box::new(CrossEntropy::new(Aim::Final))),
        ("exits", Box::new(CrossEntropy::new(Aim::Exits(vec![0, 2])))),
        ("average", Box::new(CrossEntropy::new(Aim::Average))),
        ("maximum", Box::new(CrossEntropy::new(Aim::Maximum))),
        ("policy", Box::new(CrossEntropy::new(Aim::Policy(policy.fit(EXITS).unwrap())))),
        ("uniform", Box::new(TowardsUniform)),
        ("early", early(0.5, EarlyExits::Early)),
        ("early as published", early(0.1, EarlyExits::All)),
    ]
}

#[test]
fn every_loss_has_the_cotangents_of_its_finite_differences() {
    let logits: Vec<f32> = (0..EXITS * CLASSES).map(|at| ((at * 37) % 11) as f32 / 4.0 - 1.2).collect();
    for (name, loss) in losses() {
        for label in 0..CLASSES {
            let (mut cotangents, mut unused) = (vec![9.0; logits.len()], vec![0.0; logits.len()]);
            loss.evaluate(Logits::new(&logits, CLASSES), label, &mut cotangents);
            for at in 0..logits.len() {
                let mut value = |step: f32| {
                    let mut moved = logits.clone();
                    moved[at] += step;
                    loss.evaluate(Logits::new(&moved, CLASSES), label, &mut unused)
                };
                let difference = (value(1e-2) - value(-1e-2)) / 2e-2;
                let found = f64::from(cotangents[at]);
                assert!((difference - found).abs() < 1e-3, "{name} {label} {at}: {found} {difference}");
            }
        }
    }
}

#[test]
fn the_gradient_of_a_confident_exit_is_not_rounding() {
    // p of the label is 1 - 3e-9 in float64 and 1 in float32.
    let logits = [20.0, 0.0, -1.0, -2.0].repeat(EXITS);
    let mut cotangents = vec![0.0; logits.len()];
    CrossEntropy::new(Aim::Final).evaluate(Logits::new(&logits, CLASSES), 0, &mut cotangents);
    let last = &cotangents[(EXITS - 1) * CLASSES..];
    let others: f32 = last[1..].iter().sum();
    assert!(others > 1e-9 && (last[0] + others).abs() < 1e-6 * others, "{last:?}");
}

#[test]
fn every_method_stays_in_its_ball_and_in_the_picture_whatever_the_batch() {
    let pixels = pixels(7);
    let labels = answers(&pixels);
    let policy = PolicySpec::confidence(Measure::MaxSoftmax, Threshold::new(0.6).unwrap());
    let mut cases = Vec::new();
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let epsilon = if norm == Norm::L1 { 1.0 } else { 0.1 };
        let of = |kind| Method { norm: Some(norm), epsilon: Some(epsilon), seed: 5, ..Method::new(kind) };
        cases.push((of(Kind::Fgsm), norm, epsilon));
        cases.push((Method { restarts: Some(3), exits: Some(Target::Avg), ..of(Kind::Pgd) }, norm, epsilon));
        cases.push((Method { exits: Some(Target::Policy), ..of(Kind::MiFgsm) }, norm, epsilon));
        cases.push((Method { iterations: Some(20), ..of(Kind::Deepsloth) }, norm, epsilon));
    }
    for (method, norm, epsilon) in cases {
        let Walk::PerImage(attack) = method.prepare(EXITS, &policy).unwrap().walk else { panic!() };
        let together = perturb(attack.as_ref(), &mut Toy::new(), &pixels, &labels);
        assert_ne!(together, pixels, "{method:?} does nothing");
        for (image, (found, original)) in together.chunks(SAMPLES).zip(pixels.chunks(SAMPLES)).enumerate() {
            let length = norm.length(found.iter().zip(original).map(|(x, o)| x - o));
            assert!(length <= f64::from(epsilon) * (1.0 + 1e-5), "{method:?} {image}: {length}");
            assert!(found.iter().all(|x| (0.0..=1.0).contains(x)), "{method:?} {image}");
            let alone = Batch { indices: &[image], pixels: original, labels: &labels[image..=image] };
            let alone = attack.perturb(&mut Toy::new(), alone, &mut || true).unwrap();
            assert_eq!(alone, found, "{method:?} {image} depends on its neighbours");
        }
    }
}

#[test]
fn iterating_ascends_higher_than_one_step() {
    let pixels = pixels(16);
    let labels = answers(&pixels);
    let loss = || Box::new(CrossEntropy::new(Aim::Final));
    let ball = Ball::new(Norm::Linf, 0.2).unwrap();
    let options = PgdOptions { step: 0.05, iterations: 20, random_start: false, restarts: 1, seed: 0 };
    let score = |attack: &dyn Attack| {
        mean_loss(
            &CrossEntropy::new(Aim::Final),
            &perturb(attack, &mut Toy::new(), &pixels, &labels),
            &labels,
        )
    };
    let benign = mean_loss(&CrossEntropy::new(Aim::Final), &pixels, &labels);
    let (one, many) = (score(&fgsm(loss(), ball)), score(&pgd(loss(), ball, options)));
    let momentum = score(&mi_fgsm(loss(), ball, 0.05, 20));
    assert!(benign + 0.1 < one && one < many, "{benign} {one} {many}");
    assert!(one < momentum, "{one} {momentum}");
}

/// A network so sure of itself that its gradients are at the lower end of float32.
struct Faint(Toy);

impl Oracle for Faint {
    fn exits(&self) -> usize {
        EXITS
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn samples(&self) -> usize {
        SAMPLES
    }

    fn forward(&mut self, pixels: &[f32], logits: &mut [f32]) -> Result<(), OracleError> {
        self.0.forward(pixels, logits)
    }

    fn backward(&mut self, cotangents: &[f32], gradient: &mut [f32]) -> Result<(), OracleError> {
        self.0.backward(cotangents, gradient)?;
        gradient.iter_mut().for_each(|gradient| *gradient *= 1e-41);
        Ok(())
    }
}

#[test]
fn a_gradient_next_to_nothing_still_leads_somewhere() {
    let pixels = pixels(16);
    let labels = answers(&pixels);
    let indices: Vec<usize> = (0..labels.len()).collect();
    let batch = Batch { indices: &indices, pixels: &pixels, labels: &labels };
    let loss = || Box::new(CrossEntropy::new(Aim::Final));
    let benign = mean_loss(loss().as_ref(), &pixels, &labels);
    for norm in [Norm::Linf, Norm::L2] {
        let ball = Ball::new(norm, 0.2).unwrap();
        let options = PgdOptions { step: 0.05, iterations: 10, random_start: false, restarts: 1, seed: 0 };
        for attack in [mi_fgsm(loss(), ball, 0.05, 10), pgd(loss(), ball, options)] {
            let found = attack.perturb(&mut Faint(Toy::new()), batch, &mut || true).unwrap();
            assert!(found.iter().all(|pixel| (0.0..=1.0).contains(pixel)), "{norm:?}: {found:?}");
            let reached = mean_loss(loss().as_ref(), &found, &labels);
            assert!(reached > benign + 0.05, "{norm:?}: {benign} {reached}");
        }
    }
}

/// A network whose batch is fixed.
struct FixedTo(usize, Toy);

impl Oracle for FixedTo {
    fn exits(&self) -> usize {
        EXITS
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn samples(&self) -> usize {
        SAMPLES
    }

    fn fixed_batch(&self) -> Option<usize> {
        Some(self.0)
    }

    fn forward(&mut self, pixels: &[f32], logits: &mut [f32]) -> Result<(), OracleError> {
        self.1.forward(pixels, logits)
    }

    fn backward(&mut self, cotangents: &[f32], gradient: &mut [f32]) -> Result<(), OracleError> {
        self.1.backward(cotangents, gradient)
    }
}

#[test]
fn a_batch_fixed_above_one_is_named_whatever_batch_is_asked_for() {
    let data = dataset::open(&"shapes:test:3".parse().unwrap(), &OpenOptions::default()).unwrap();
    let shape = Chw { channels: 3, height: 2, width: 2 };
    for batch in [1, 4, 64] {
        let options = Craft {
            method: Method::new(Kind::Fgsm),
            policy: PolicySpec::fixed(0),
            labels: Labels::Predicted,
            batch: batch.try_into().unwrap(),
            crafting: 1.try_into().unwrap(),
        };
        let mut oracle = FixedTo(4, Toy::new());
        let refused = craft(&mut oracle, data.as_ref(), shape, &options, &mut |_| true).unwrap_err();
        let expected = "attacks need a network with a free batch or one fixed to 1, got one fixed to 4";
        assert_eq!(refused.to_string(), expected);
    }
}

/// Pictures of the toy network, labelled.
struct Labelled(Vec<f32>, Vec<usize>);

impl Dataset for Labelled {
    fn len(&self) -> usize {
        self.1.len()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.1.get(image).copied()
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        let samples = self.0[image * SAMPLES..(image + 1) * SAMPLES].to_vec();
        *into = Picture::new(SHAPE, Samples::F32(samples)).unwrap();
        Ok(())
    }

    fn class_names(&self) -> Option<&[String]> {
        None
    }

    fn describe(&self) -> String {
        "pictures of the toy network".to_owned()
    }
}

const SHAPE: Chw = Chw { channels: 3, height: 2, width: 2 };

/// Passes and what came of PGD with four iterations on ten images, four at once, all but `right` labelled wrongly.
fn crafted_on_wrong_labels(right: Option<usize>) -> ((usize, usize), Result<Vec<usize>, CraftError>) {
    let pixels = pixels(10);
    let answers = answers(&pixels);
    let label = |(image, answer)| if right == Some(image) { answer } else { (answer + 1) % CLASSES };
    let data = Labelled(pixels, answers.into_iter().enumerate().map(label).collect());
    let options = Craft {
        method: Method { iterations: Some(4), ..Method::new(Kind::Pgd) },
        policy: PolicySpec::fixed(0),
        labels: Labels::Data,
        batch: 4.try_into().unwrap(),
        crafting: 1.try_into().unwrap(),
    };
    let mut oracle = Toy::new();
    let set = craft(&mut oracle, &data, SHAPE, &options, &mut |_| true);
    (oracle.passes, set.map(|set| set.images.iter().map(|image| image.index).collect()))
}

#[test]
fn that_there_is_nothing_to_attack_is_told_before_the_first_gradient() {
    let (passes, refused) = crafted_on_wrong_labels(None);
    assert!(matches!(refused, Err(CraftError::NothingToAttack { images: 10 })), "{refused:?}");
    assert_eq!(passes, (3, 0), "one look at each batch");
}

#[test]
fn benign_images_are_asked_about_once_wherever_the_first_to_attack_is() {
    for right in 0..10 {
        let (passes, images) = crafted_on_wrong_labels(Some(right));
        assert_eq!(images.unwrap(), (0..10).collect::<Vec<_>>());
        // Benign, four steps, before rounding, as stored.
        assert_eq!(passes, (3 * (1 + 4 + 2), 3 * 4), "{right}");
    }
}

#[test]
fn iterations_without_end_are_counted_up_to_where_numbers_end() {
    let options =
        PgdOptions { step: 0.1, iterations: usize::MAX, random_start: true, restarts: usize::MAX, seed: 0 };
    let ball = Ball::new(Norm::Linf, 0.1).unwrap();
    assert_eq!(pgd(Box::new(CrossEntropy::new(Aim::Final)), ball, options).iterations(), usize::MAX);
}

#[test]
fn restarts_never_make_an_attack_weaker_and_a_step_is_one_pass_each_way() {
    let pixels = pixels(16);
    let labels = answers(&pixels);
    let attack = |restarts| {
        let options = PgdOptions { step: 0.03, iterations: 6, random_start: true, restarts, seed: 3 };
        pgd(Box::new(CrossEntropy::new(Aim::Final)), Ball::new(Norm::Linf, 0.1).unwrap(), options)
    };
    let mut oracle = Toy::new();
    perturb(&attack(1), &mut oracle, &pixels, &labels);
    assert_eq!(oracle.passes, (6, 6), "never two forward passes a step");
    let hits = |restarts| {
        let found = perturb(&attack(restarts), &mut Toy::new(), &pixels, &labels);
        answers(&found).iter().zip(&labels).filter(|(answer, label)| answer != label).count()
    };
    let counts: Vec<usize> = [2, 4, 8].map(hits).into();
    assert!(counts.is_sorted(), "{counts:?}");
}

#[test]
fn the_uniform_loss_takes_early_exits_their_confidence() {
    let pixels = pixels(12);
    let labels = answers(&pixels);
    let method =
        Method { iterations: Some(60), epsilon: Some(0.3), step: Some(0.02), ..Method::new(Kind::Deepsloth) };
    let Walk::PerImage(attack) = method.prepare(EXITS, &PolicySpec::default()).unwrap().walk else {
        panic!()
    };
    let found = perturb(attack.as_ref(), &mut Toy::new(), &pixels, &labels);
    let confidence = |pixels: &[f32]| {
        let logits = Toy::new().logits(pixels);
        let first = logits.chunks_exact(CLASSES).step_by(EXITS);
        let sum: f32 = first
            .map(|l| offramp_runtime::confidence::Prediction::of(0, l).unwrap().max_softmax().get())
            .sum();
        sum / labels.len() as f32
    };
    assert!(confidence(&found) < confidence(&pixels) - 0.1, "{} {}", confidence(&found), confidence(&pixels));
}

#[test]
fn the_early_attack_succeeds_by_its_own_definition_and_keeps_the_nearest() {
    let pixels = pixels(10);
    let labels = answers(&pixels);
    let loss = EarlyLoss { alpha: 1.0, exits: EarlyExits::Early, rivals: Rivals::All };
    let base = EarlyMode::Improved.attack(1.0, 1);
    let base = Early { c: 50.0, iterations: 400, rounding: false, ..base };
    let run = |keep| perturb(&Early { keep, ..base.clone() }, &mut Toy::new(), &pixels, &labels);
    let (first, nearest) = (run(Keep::First), run(Keep::Nearest));
    let success = |found: &[f32]| -> Vec<bool> {
        let logits = Toy::new().logits(found);
        let images = logits.chunks_exact(EXITS * CLASSES).zip(&labels);
        images.map(|(l, label)| loss.reached(Logits::new(l, CLASSES), *label).unwrap()).collect()
    };
    assert!(success(&nearest).iter().filter(|s| **s).count() >= 5, "{:?}", success(&nearest));
    assert_eq!(success(&first), success(&nearest), "both keep a success where there is one");
    let length = |found: &[f32], image: usize| {
        let range = image * SAMPLES..(image + 1) * SAMPLES;
        Norm::L2.length(found[range.clone()].iter().zip(&pixels[range]).map(|(x, o)| x - o))
    };
    for (image, success) in success(&nearest).into_iter().enumerate().filter(|(_, success)| *success) {
        assert!(success && length(&nearest, image) <= length(&first, image) + 1e-9, "{image}");
    }
}

#[test]
fn the_early_attack_stops_asking_about_images_that_are_done() {
    let pixels = pixels(10);
    let labels = answers(&pixels);
    let attack = Early { iterations: 300, ..EarlyMode::AsPublished.attack(1.0, 2) };
    let mut oracle = Toy::new();
    perturb(&attack, &mut oracle, &pixels, &labels);
    assert!(oracle.batches.is_sorted_by(|a, b| a >= b), "{:?}", oracle.batches);
    assert!(oracle.batches.last().unwrap() < &10, "{:?}", oracle.batches);
}

#[test]
fn as_coded_starts_in_noise_that_has_nothing_of_the_image() {
    let (dark, light) = (vec![0.0; SAMPLES], vec![1.0; SAMPLES]);
    let attack = Early { iterations: 1, ..EarlyMode::AsCoded.attack(1.0, 4) };
    let first = |pixels: &[f32]| perturb(&attack, &mut Toy::new(), pixels, &[0]);
    assert_eq!(first(&dark), first(&light));
    // (tanh w + 1) / 2 of w in [0, 1).
    assert!(first(&dark).iter().all(|x| (0.5..0.881).contains(x)), "{:?}", first(&dark));
    let improved = Early { iterations: 1, ..EarlyMode::Improved.attack(1.0, 4) };
    assert_eq!(improved.start, EarlyStart::Image);
    assert_eq!(perturb(&improved, &mut Toy::new(), &light, &[0]), light);
}

#[test]
fn as_coded_piece_by_piece_is_the_other_modes_bit_for_bit() {
    let pixels = pixels(10);
    let labels = answers(&pixels);
    let crafted = |method: Method| {
        let Walk::PerImage(attack) = method.prepare(EXITS, &PolicySpec::default()).unwrap().walk else {
            panic!()
        };
        perturb(attack.as_ref(), &mut Toy::new(), &pixels, &labels)
    };
    let of = |mode| Method { mode: Some(mode), ..Method::new(Kind::Early) };
    let (coded, published, improved) =
        (of(EarlyMode::AsCoded), of(EarlyMode::AsPublished), of(EarlyMode::Improved));
    let pieces_of_published = Method {
        distance: Some(Distance::Norm),
        loss_exits: Some(EarlyExits::All),
        rivals: Some(Rivals::All),
        keep: Some(Keep::First),
        ..coded.clone()
    };
    let pieces_of_improved = Method {
        start: Some(EarlyStart::Image),
        rivals: Some(Rivals::All),
        keep: Some(Keep::Nearest),
        rounding: Some(true),
        iterations: Some(300),
        ..coded.clone()
    };
    assert!(crafted(pieces_of_published) == crafted(published.clone()));
    assert!(crafted(pieces_of_improved) == crafted(improved.clone()));
    let alone = [
        Method { start: Some(EarlyStart::Image), ..coded.clone() },
        Method { distance: Some(Distance::Squared), ..coded.clone() },
        Method { distance: Some(Distance::Norm), ..coded.clone() },
        Method { loss_exits: Some(EarlyExits::All), ..coded.clone() },
        Method { rivals: Some(Rivals::First(1)), ..coded.clone() },
        Method { keep: Some(Keep::First), ..coded.clone() },
        Method { keep: Some(Keep::Nearest), ..coded.clone() },
        Method { rounding: Some(true), ..coded.clone() },
        Method { learning_rate: Some(0.1), ..coded.clone() },
        published,
        improved,
    ];
    let coded = crafted(coded);
    for method in alone {
        assert!(crafted(method.clone()) != coded, "{} changes nothing", method.label());
    }
}

#[test]
fn an_attack_that_is_told_to_stop_stops() {
    let pixels = pixels(1);
    let batch = Batch { indices: &[0], pixels: &pixels, labels: &[0] };
    let attack = EarlyMode::AsCoded.attack(1.0, 0);
    let mut oracle = Toy::new();
    let stopped = attack.perturb(&mut oracle, batch, &mut || false);
    assert!(matches!(stopped, Err(AttackError::Stopped)));
    assert_eq!(oracle.passes, (1, 1));
}

#[test]
fn the_published_formula_leaves_the_final_label_to_chance_at_one_over_the_rivals() {
    // L1 = -(K y_p - 1) while p leads K classes, so that alpha L1 + L2 weighs y_p at the final exit by 1 - alpha K.
    let logits: Vec<f32> = [[0.0; CLASSES], [0.0; CLASSES], [2.0, 0.0, 0.0, 0.0]].concat();
    let pull = |alpha, exits| {
        let mut cotangents = vec![0.0; logits.len()];
        EarlyLoss { alpha, exits, rivals: Rivals::All }.evaluate(
            Logits::new(&logits, CLASSES),
            0,
            &mut cotangents,
        );
        cotangents[(EXITS - 1) * CLASSES]
    };
    assert!(pull(0.01, EarlyExits::All) < 0.0, "the formula attacks the final label");
    assert!(pull(1.0 / CLASSES as f32, EarlyExits::All).abs() < 1e-6, "or ignores it");
    assert!(pull(0.01, EarlyExits::Early) > 0.0, "the code protects it");
}

#[test]
fn settings_that_make_no_attack_are_named() {
    let policy = PolicySpec::default();
    let of = Method::new;
    let cases: Vec<(Method, &str)> = vec![
        (Method { alpha: Some(1.0), ..of(Kind::Pgd) }, "pgd has no alpha, c or mode: it belongs to early"),
        (Method { start: Some(EarlyStart::Noise), ..of(Kind::Pgd) }, "pgd has no start: it belongs to early"),
        (
            Method { distance: Some(Distance::Norm), ..of(Kind::Fgsm) },
            "fgsm has no distance: it belongs to early",
        ),
        (
            Method { loss_exits: Some(EarlyExits::All), ..of(Kind::MiFgsm) },
            "mi-fgsm has no loss exits: it belongs to early",
        ),
        (Method { rivals: Some(Rivals::All), ..of(Kind::Pgd) }, "pgd has no rivals: it belongs to early"),
        (
            Method { keep: Some(Keep::Nearest), ..of(Kind::Deepsloth) },
            "deepsloth has no keep: it belongs to early",
        ),
        (Method { rounding: Some(false), ..of(Kind::Pgd) }, "pgd has no rounding: it belongs to early"),
        (
            Method { learning_rate: Some(0.1), ..of(Kind::Pgd) },
            "pgd has no learning rate: it belongs to early",
        ),
        (Method { learning_rate: Some(0.0), ..of(Kind::Early) }, "learning rate is a number above 0, got 0"),
        (Method { rivals: Some(Rivals::First(0)), ..of(Kind::Early) }, "rivals is 1 or more, got 0"),
        (Method { epsilon: Some(0.0), ..of(Kind::Pgd) }, "epsilon is a number above 0 and at most 1, got 0"),
        (Method { epsilon: Some(8.0), ..of(Kind::Fgsm) }, "epsilon is a number above 0 and at most 1, got 8"),
        (Method { step: Some(f32::NAN), ..of(Kind::Pgd) }, "step is a number above 0, got NaN"),
        (Method { iterations: Some(0), ..of(Kind::Early) }, "iterations is 1 or more, got 0"),
        (
            Method { exits: Some(Target::Exits(vec![3])), ..of(Kind::Pgd) },
            "the network has exits 0 to 2, got exit 3",
        ),
        (
            Method { exits: Some(Target::Exits(vec![])), ..of(Kind::Pgd) },
            "exits is final, avg, max, policy or a list",
        ),
        (
            Method { universal: true, ..of(Kind::Fgsm) },
            "fgsm has no universal perturbation: it belongs to deepsloth",
        ),
    ];
    for (method, expected) in cases {
        let Err(error) = method.prepare(EXITS, &policy) else { panic!("{method:?}") };
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let Err(error) = of(Kind::Early).prepare(1, &policy) else { panic!() };
    assert!(matches!(error, MethodError::NoEarlyExit { .. }), "{error}");
}

#[test]
fn the_toy_network_is_its_own_finite_difference() {
    let (pixels, mut gradient) = (pixels(1), vec![0.0; SAMPLES]);
    let cotangents: Vec<f32> = (0..EXITS * CLASSES).map(|at| at as f32 / 5.0 - 1.0).collect();
    let mut toy = Toy::new();
    let mut value = |pixels: &[f32]| -> f64 {
        toy.logits(pixels).iter().zip(&cotangents).map(|(l, c)| f64::from(l * c)).sum()
    };
    for at in 0..SAMPLES {
        let mut moved = |step| {
            let mut pixels = pixels.clone();
            pixels[at] += step;
            value(&pixels)
        };
        gradient[at] = ((moved(1e-2) - moved(-1e-2)) / 2e-2) as f32;
    }
    let mut found = vec![0.0; SAMPLES];
    toy.logits(&pixels);
    toy.backward(&cotangents, &mut found).unwrap();
    for (found, expected) in found.iter().zip(&gradient) {
        assert!((found - expected).abs() < 2e-3, "{found} {expected}");
    }
}
