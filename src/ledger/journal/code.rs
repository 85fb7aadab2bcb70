//! How a value becomes bytes and comes back: fixed little-endian widths, a tag before each choice, no padding.
//!
//! Thread: any.  Invariants: what was put is taken back equal; bytes that no put wrote give `None`, never a panic; the
//! tables of `schema` name every field and every variant once, so both directions and the printed shape agree, and a
//! type that grew does not compile until its line grew too.

/// A value with one byte form.
pub trait Code: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes the value off the front; `None` where the bytes are too few or mean nothing.
    fn take(from: &mut Bytes<'_>) -> Option<Self>;
    /// Appends what the bytes are made of, as text: the schema's number is made of it.
    fn shape(out: &mut String);
}

/// Bytes not taken yet.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes(bytes)
    }
    /// Whether all were taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    #[inline]
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*chunk)
    }
}

/// Takes a field; the name serves the tables, which need one per field anyway.
#[inline]
pub(super) fn named<T: Code>(_name: &str, from: &mut Bytes<'_>) -> Option<T> {
    T::take(from)
}

/// Writes the shape of a field whose type is known from a reader of it.
pub(super) fn shape_of<Whole, T: Code>(_field: impl Fn(&Whole) -> &T, out: &mut String) {
    T::shape(out);
}

macro_rules! integers {
    ($($type:ident)+) => { $(
        impl Code for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn take(from: &mut Bytes<'_>) -> Option<Self> {
                from.chunk().map($type::from_le_bytes)
            }
            fn shape(out: &mut String) {
                out.push_str(stringify!($type));
            }
        }
    )+ };
}
integers!(u8 u16 u32 u64 i32 i64);

impl Code for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn shape(out: &mut String) {
        out.push_str("bool");
    }
}

impl<T: Code> Code for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    #[inline]
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        Some(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
    fn shape(out: &mut String) {
        out.push('?');
        T::shape(out);
    }
}

impl<T: Code + Copy + Default, const N: usize> Code for [T; N] {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.put(out));
    }
    #[inline]
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::take(from)?;
        }
        Some(items)
    }
    fn shape(out: &mut String) {
        out.push_str(&format!("{N}*"));
        T::shape(out);
    }
}

/// Types that wrap one integer.
macro_rules! wraps {
    ($($type:ident($inner:ident))+) => { $(
        impl Code for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            #[inline]
            fn take(from: &mut Bytes<'_>) -> Option<Self> {
                $inner::take(from).map($type)
            }
            fn shape(out: &mut String) {
                out.push_str(concat!(stringify!($type), ":"));
                $inner::shape(out);
            }
        }
    )+ };
}
pub(super) use wraps;

/// Types that are their fields, in this order.
macro_rules! fields {
    ($($type:ident { $($field:ident)+ })+) => { $(
        impl Code for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                let $type { $($field),+ } = self;
                $($field.put(out);)+
            }
            #[inline]
            fn take(from: &mut Bytes<'_>) -> Option<Self> {
                Some($type { $($field: named(stringify!($field), from)?),+ })
            }
            fn shape(out: &mut String) {
                out.push_str(concat!(stringify!($type), "{"));
                $(
                    out.push_str(concat!(stringify!($field), " "));
                    shape_of(|whole: &$type| &whole.$field, out);
                    out.push(' ');
                )+
                out.push('}');
            }
        }
    )+ };
}
pub(super) use fields;

/// Types that are one of several: a tag, then what that variant carries. Tags are never reused for another meaning.
macro_rules! choices {
    ($($type:ident {
        $($tag:literal $variant:ident $(($($item:ident: $item_type:ty),+))? $({ $($field:ident: $field_type:ty),+ })?;)+
    })+) => { $(
        impl Code for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($type::$variant $(($($item),+))? $({ $($field),+ })? => {
                        out.push($tag);
                        $($($item.put(out);)+)?
                        $($($field.put(out);)+)?
                    })+
                }
            }
            #[inline]
            fn take(from: &mut Bytes<'_>) -> Option<Self> {
                Some(match u8::take(from)? {
                    $($tag => $type::$variant
                        $(($(named::<$item_type>(stringify!($item), from)?),+))?
                        $({ $($field: named::<$field_type>(stringify!($field), from)?),+ })?,)+
                    _ => return None,
                })
            }
            fn shape(out: &mut String) {
                out.push_str(concat!(stringify!($type), "<"));
                $(
                    out.push_str(concat!(stringify!($tag), stringify!($variant), " "));
                    $($(<$item_type as Code>::shape(out); out.push(' ');)+)?
                    $($(
                        out.push_str(concat!(stringify!($field), " "));
                        <$field_type as Code>::shape(out);
                        out.push(' ');
                    )+)?
                )+
                out.push('>');
            }
        }
    )+ };
}
pub(super) use choices;
