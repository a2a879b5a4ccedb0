//! The subset of Python's pickle protocol 2 in which CIFAR's batches were published.
//!
//! A batch is a dictionary from byte strings to byte strings, lists of integers or byte strings, and one uint8 array.
//! Anything else is refused: no object is constructed and no name is looked up. Values are plain indices into one
//! list of objects, so that no input nests deeply or grows in memory beyond its own length.
//!
//! Source: opcodes as in CPython's `Lib/pickletools.py`; arrays as `numpy.ndarray.__reduce__` writes them.

use std::collections::HashMap;

/// Opcodes that a batch of 50,000 images and names stays below.
const MOST_STEPS: usize = 1 << 21;

/// Rows of samples and their labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    /// Images.
    pub rows: usize,
    /// Samples of an image.
    pub columns: usize,
    /// Row by row.
    pub samples: &'a [u8],
    /// One per row.
    pub labels: Vec<i64>,
}

/// A pickle that is not a published batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The end came early.
    #[error("the pickle ends within an instruction at byte {at}")]
    Truncated {
        /// Where the instruction begins.
        at: usize,
    },
    /// Another protocol.
    #[error("the pickle has protocol {found}, expected 2")]
    Protocol {
        /// The protocol.
        found: u8,
    },
    /// An instruction that no batch needs.
    #[error("the pickle has instruction {found:#04x} at byte {at}, which no published batch has")]
    Instruction {
        /// Where.
        at: usize,
        /// The opcode.
        found: u8,
    },
    /// Something other than an array would be constructed.
    #[error("the pickle names {found:?} at byte {at}, expected numpy's ndarray and dtype")]
    Global {
        /// Where.
        at: usize,
        /// Module and name.
        found: String,
    },
    /// An instruction that does not fit what came before.
    #[error("the pickle does not have {expected} at byte {at}")]
    Form {
        /// Where.
        at: usize,
        /// What would fit.
        expected: &'static str,
    },
    /// More instructions than a batch needs.
    #[error("the pickle has more than {MOST_STEPS} instructions")]
    Length,
    /// A key that is not there or stands for something else.
    #[error("the pickle has no {expected} under \"{key}\"")]
    Key {
        /// The key.
        key: &'static str,
        /// What should be there.
        expected: &'static str,
    },
}

/// Reads a batch whose labels stand under `labels`.
pub(super) fn read<'a>(pickle: &'a [u8], labels: &'static str) -> Result<Batch<'a>, PickleError> {
    let mut machine = Machine { rest: pickle, length: pickle.len(), ..Machine::default() };
    let top = machine.run()?;
    machine.batch(top, labels)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    None,
    Truth(bool),
    Integer(i64),
    Text(&'a [u8]),
    Global(Global),
    Object(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    Reconstruct,
    NdArray,
    DType,
}

#[derive(Debug)]
enum Object<'a> {
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    Dictionary(Vec<(Value<'a>, Value<'a>)>),
    Bytes,
    Array(Option<Array<'a>>),
}

#[derive(Clone, Copy, Debug)]
struct Array<'a> {
    rows: usize,
    columns: usize,
    samples: &'a [u8],
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    length: usize,
    /// Where the current instruction begins.
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, PickleError> {
        for _ in 0..MOST_STEPS {
            self.at = self.length - self.rest.len();
            let [opcode] = self.take()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
        Err(PickleError::Length)
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            0x80 => match self.take()? {
                [2] => {}
                [found] => return Err(PickleError::Protocol { found }),
            },
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Truth(true)),
            0x89 => self.stack.push(Value::Truth(false)),
            b'K' => self.integer::<1>(|bytes| u8::from_le_bytes(bytes).into())?,
            b'M' => self.integer::<2>(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.integer::<4>(|bytes| i32::from_le_bytes(bytes).into())?,
            b'U' => {
                let [length] = self.take()?;
                self.text(length.into())?;
            }
            b'T' => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(length as usize)?;
            }
            b'c' => self.global()?,
            b'(' => self.marks.push(self.stack.len()),
            b']' => self.object(Object::List(Vec::new())),
            b'}' => self.object(Object::Dictionary(Vec::new())),
            b')' => self.object(Object::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.last((opcode - 0x84).into())?;
                self.object(Object::Tuple(items));
            }
            b't' => {
                let items = self.since_mark()?;
                self.object(Object::Tuple(items));
            }
            b'a' => {
                let items = self.last(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let items = self.last(2)?;
                self.set(&items)?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'q' => {
                let [slot] = self.take()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.remember(slot)?;
            }
            b'h' => {
                let [slot] = self.take()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.recall(slot)?;
            }
            found => return Err(PickleError::Instruction { at: self.at, found }),
        }
        Ok(())
    }

    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], PickleError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(PickleError::Truncated { at: self.at })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn form(&self, expected: &'static str) -> PickleError {
        PickleError::Form { at: self.at, expected }
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        self.stack.pop().ok_or_else(|| self.form("a value"))
    }

    /// Takes the last `count` values off the stack.
    fn last(&mut self, count: usize) -> Result<Vec<Value<'a>>, PickleError> {
        let from = self.stack.len().checked_sub(count).ok_or_else(|| self.form("values"))?;
        Ok(self.stack.split_off(from))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.form("a mark")),
        }
    }

    fn object(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn integer<const SIZE: usize>(&mut self, decode: fn([u8; SIZE]) -> i64) -> Result<(), PickleError> {
        let value = decode(self.take()?);
        self.stack.push(Value::Integer(value));
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), PickleError> {
        let (text, rest) =
            self.rest.split_at_checked(length).ok_or(PickleError::Truncated { at: self.at })?;
        self.rest = rest;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn global(&mut self) -> Result<(), PickleError> {
        let (module, name) = (self.line()?, self.line()?);
        let global = match (module, name) {
            (b"numpy.core.multiarray", b"_reconstruct") => Global::Reconstruct,
            (b"numpy", b"ndarray") => Global::NdArray,
            (b"numpy", b"dtype") => Global::DType,
            _ => {
                let [module, name] = [module, name].map(|text| String::from_utf8_lossy(text).into_owned());
                return Err(PickleError::Global { at: self.at, found: format!("{module}.{name}") });
            }
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let end = self.rest.iter().take(100).position(|byte| *byte == b'\n');
        let end = end.ok_or(PickleError::Truncated { at: self.at })?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(line)
    }

    fn remember(&mut self, slot: u32) -> Result<(), PickleError> {
        let top = *self.stack.last().ok_or_else(|| self.form("a value"))?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), PickleError> {
        let value = *self.memo.get(&slot).ok_or_else(|| self.form("a value that was put aside"))?;
        self.stack.push(value);
        Ok(())
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), PickleError> {
        match self.top() {
            Some(Object::List(list)) => list.extend(items),
            _ => return Err(self.form("a list")),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value<'a>]) -> Result<(), PickleError> {
        let (pairs, []) = items.as_chunks() else { return Err(self.form("a value for each key")) };
        match self.top() {
            Some(Object::Dictionary(entries)) => {
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)))
            }
            _ => return Err(self.form("a dictionary")),
        }
        Ok(())
    }

    fn top(&mut self) -> Option<&mut Object<'a>> {
        match self.stack.last()? {
            Value::Object(object) => self.objects.get_mut(*object),
            _ => None,
        }
    }

    fn tuple(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(object) => match self.objects.get(object)? {
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// `_reconstruct(ndarray, (0,), 'b')` and `dtype('u1', 0, 1)`.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let object = match (callable, self.tuple(arguments)) {
            (Value::Global(Global::Reconstruct), Some([Value::Global(Global::NdArray), ..])) => {
                Object::Array(None)
            }
            (Value::Global(Global::DType), Some([Value::Text(b"u1"), ..])) => Object::Bytes,
            _ => return Err(self.form("an array of uint8")),
        };
        self.object(object);
        Ok(())
    }

    /// State of an array: `(1, shape, dtype, Fortran order, samples)`. That of a dtype says nothing new about bytes.
    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let array = match self.tuple(state) {
            Some([_, shape, Value::Object(dtype), Value::Truth(false), Value::Text(samples)])
                if matches!(self.objects.get(*dtype), Some(Object::Bytes)) =>
            {
                self.rows_of(*shape, samples)
            }
            _ => None,
        };
        match (self.top(), array) {
            (Some(Object::Bytes), _) => Ok(()),
            (Some(Object::Array(slot @ None)), Some(array)) => {
                *slot = Some(array);
                Ok(())
            }
            _ => Err(self.form("rows of uint8 samples")),
        }
    }

    fn rows_of(&self, shape: Value<'a>, samples: &'a [u8]) -> Option<Array<'a>> {
        let [Value::Integer(rows), Value::Integer(columns)] = self.tuple(shape)? else { return None };
        let (rows, columns) = (usize::try_from(*rows).ok()?, usize::try_from(*columns).ok()?);
        (rows.checked_mul(columns)? == samples.len()).then_some(Array { rows, columns, samples })
    }

    fn batch(&self, top: Value<'a>, key: &'static str) -> Result<Batch<'a>, PickleError> {
        let Value::Object(top) = top else { return Err(self.form("a dictionary")) };
        let Some(Object::Dictionary(entries)) = self.objects.get(top) else {
            return Err(self.form("a dictionary"));
        };
        let under = |name: &str| {
            let entry = entries.iter().rev().find(|(key, _)| *key == Value::Text(name.as_bytes()))?;
            match entry.1 {
                Value::Object(object) => self.objects.get(object),
                _ => None,
            }
        };
        let Some(Object::Array(Some(Array { rows, columns, samples }))) = under("data") else {
            return Err(PickleError::Key { key: "data", expected: "array" });
        };
        let integers = match under(key) {
            Some(Object::List(items)) => items.iter().map(|item| match item {
                Value::Integer(label) => Some(*label),
                _ => None,
            }),
            _ => return Err(PickleError::Key { key, expected: "list of integers" }),
        };
        let labels: Option<Vec<_>> = integers.collect();
        let labels = labels.ok_or(PickleError::Key { key, expected: "list of integers" })?;
        Ok(Batch { rows: *rows, columns: *columns, samples, labels })
    }
}
