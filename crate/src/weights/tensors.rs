//! What a pickled state dict says of its tensors, and the tensors made from that and raw storages.

use candle_core::pickle::Object;
use candle_core::{DType, Device, Tensor};

/// More dimensions than any kernel has.
const MOST_DIMENSIONS: usize = 8;

/// A tensor as the state dict tells it: a view into a storage, counted in elements.
#[derive(Debug)]
pub(super) struct View {
    pub name: String,
    /// The key of the storage it lies in.
    pub storage: String,
    pub dtype: DType,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The tensors of a state dict, or of a checkpoint that has one under `state_dict`. Other values are passed over.
pub(super) fn views(checkpoint: &Object) -> Result<Vec<View>, String> {
    let Object::Dict(pairs) = checkpoint else {
        return Err("it holds no state dict; save `model.state_dict()` rather than the model".into());
    };
    let inner = pairs.iter().find(|(key, _)| matches!(key, Object::Unicode(key) if key == "state_dict"));
    if let Some((_, Object::Dict(pairs))) = inner {
        return views_of(pairs);
    }
    views_of(pairs)
}

fn views_of(pairs: &[(Object, Object)]) -> Result<Vec<View>, String> {
    let mut views = Vec::new();
    for (key, value) in pairs {
        if let (Object::Unicode(name), Some(args)) = (key, tensor_args(value)) {
            views.push(view(name, args).map_err(|why| format!("tensor {name}: {why}"))?);
        }
    }
    Ok(views)
}

/// The arguments of `torch._utils._rebuild_tensor_v2`, perhaps wrapped in a parameter.
fn tensor_args(value: &Object) -> Option<&[Object]> {
    let Object::Reduce { callable, args } = value else { return None };
    let (Object::Class { module_name, class_name }, Object::Tuple(args)) = (&**callable, &**args) else { return None };
    match (module_name.as_str(), class_name.as_str(), args.as_slice()) {
        ("torch._utils", "_rebuild_tensor_v2", args) => Some(args),
        ("torch._utils", "_rebuild_parameter", [tensor, ..]) => tensor_args(tensor),
        _ => None,
    }
}

fn view(name: &str, args: &[Object]) -> Result<View, String> {
    let [Object::PersistentLoad(storage), offset, Object::Tuple(shape), Object::Tuple(strides), ..] = args else {
        return Err("it is saved in a way that is not known".into());
    };
    let (dtype, storage) = storage_of(storage)?;
    let counts = |items: &[Object]| items.iter().map(count).collect::<Result<Vec<_>, _>>();
    let (offset, shape, strides) = (count(offset)?, counts(shape)?, counts(strides)?);
    if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
        return Err(format!("its shape {shape:?} and strides {strides:?} do not fit"));
    }
    Ok(View { name: name.to_owned(), storage, dtype, offset, shape, strides })
}

/// Type and key of `("storage", torch.FloatStorage, key, device, count, view)`; the view is always None nowadays.
fn storage_of(id: &Object) -> Result<(DType, String), String> {
    let unknown = || String::from("its storage is saved in a way that is not known");
    let Object::Tuple(id) = id else { return Err(unknown()) };
    let [Object::Unicode(what), Object::Class { class_name, .. }, Object::Unicode(key), _, _, rest @ ..] =
        id.as_slice()
    else {
        return Err(unknown());
    };
    if what != "storage" || !matches!(rest, [] | [Object::None]) {
        return Err(unknown());
    }
    let dtype = match class_name.as_str() {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "ByteStorage" => DType::U8,
        "ShortStorage" => DType::I16,
        "IntStorage" => DType::I32,
        "LongStorage" => DType::I64,
        other => return Err(format!("its numbers are of a type that cannot be read: {other:.40}")),
    };
    Ok((dtype, key.clone()))
}

fn count(object: &Object) -> Result<usize, String> {
    let count = match object {
        Object::Int(count) => usize::try_from(*count).ok(),
        Object::Long(count) => usize::try_from(*count).ok(),
        _ => None,
    };
    count.ok_or_else(|| "a size, stride or offset is not a count".into())
}

impl View {
    /// How many elements it has. None where that is more than can be counted, or nothing: no layer has such a tensor.
    fn elements(&self) -> Option<usize> {
        let product = self.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        product.filter(|&elements| elements > 0)
    }

    /// How many elements its storage must have at least.
    fn end(&self) -> Option<usize> {
        let mut steps = self.shape.iter().zip(&self.strides);
        let last = steps.try_fold(self.offset, |at, (size, stride)| {
            size.checked_sub(1)?.checked_mul(*stride).and_then(|step| at.checked_add(step))
        });
        last?.checked_add(1)
    }

    /// The tensor, from the raw bytes of its storage.
    pub(super) fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let size = self.dtype.size_in_bytes();
        let there = storage.len() / size;
        // Strides of zero may repeat elements: no weights do, and a handful of bytes would make a huge tensor.
        let (Some(elements), Some(end)) = (self.elements(), self.end()) else { return Err(self.beyond(there)) };
        if end > there || elements > there {
            return Err(self.beyond(there));
        }
        let contiguous = self.contiguous().then(|| storage.get(self.offset * size..(self.offset + elements) * size));
        let bytes = match contiguous {
            Some(bytes) => std::borrow::Cow::Borrowed(bytes.ok_or_else(|| self.beyond(there))?),
            None => std::borrow::Cow::Owned(self.gather(storage, elements, size).ok_or_else(|| self.beyond(there))?),
        };
        Tensor::from_raw_buffer(&bytes, self.dtype, &self.shape, &Device::Cpu).map_err(|e| e.to_string())
    }

    fn beyond(&self, there: usize) -> String {
        let (name, shape, strides, offset) = (&self.name, &self.shape, &self.strides, self.offset);
        format!("tensor {name}: {shape:?} by strides {strides:?} from {offset} exceeds its storage of {there}")
    }

    fn contiguous(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == step;
            step *= size;
            fits
        })
    }

    /// The elements in order, each from where its strides lead.
    fn gather(&self, storage: &[u8], elements: usize, size: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(elements * size);
        for element in 0..elements {
            let (mut rest, mut at) = (element, self.offset);
            for (length, stride) in self.shape.iter().zip(&self.strides).rev() {
                at += rest % length * stride;
                rest /= length;
            }
            bytes.extend_from_slice(storage.get(at * size..(at + 1) * size)?);
        }
        Some(bytes)
    }

    /// How many bytes the tensor takes; for a bound on all of them together.
    pub(super) fn bytes(&self) -> u64 {
        (self.elements().unwrap_or(usize::MAX) as u64).saturating_mul(self.dtype.size_in_bytes() as u64)
    }
}

/// Refuses views that repeat each other until they are much more than the file they come from.
pub(super) fn bounded(views: &[View], file: usize) -> Result<(), String> {
    let sum = views.iter().fold(0u64, |sum, view| sum.saturating_add(view.bytes()));
    if sum > 2 * file as u64 { Err(format!("its tensors claim {sum} bytes, and it has {file}")) } else { Ok(()) }
}
