//! One file for each target.

pub mod block;
pub mod commit_header;
#[cfg(feature = "bridge")]
pub mod configuration;
pub mod index_page;
#[cfg(feature = "bridge")]
pub mod kafka_record;
pub mod keyspace_object;
#[cfg(feature = "reader")]
pub mod list_answer;
pub mod name;
pub mod token;
#[cfg(feature = "reader")]
pub mod wasm_operation;
pub mod whole_read;

use arbitrary::{Arbitrary, Unstructured};

/// The input as a value of this type; `None` where it ends too early for one.
fn read<'a, T: Arbitrary<'a>>(data: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(data)).ok()
}

/// A struct, field by field, or one of an enum's variants, made out of an input. (By a derive macro it would be as long,
/// and would have the whole workspace's other macros compiled anew.)
macro_rules! drawn {
    ($life:lifetime, $name:ty { $($field:tt),* $(,)? }) => {
        impl<$life> arbitrary::Arbitrary<$life> for $name {
            fn arbitrary(input: &mut arbitrary::Unstructured<$life>) -> arbitrary::Result<Self> {
                Ok(Self { $($field: input.arbitrary()?),* })
            }
        }
    };
    ($life:lifetime, $name:ty: $($variant:ident { $($field:tt),* }),* $(,)?) => {
        impl<$life> arbitrary::Arbitrary<$life> for $name {
            fn arbitrary(input: &mut arbitrary::Unstructured<$life>) -> arbitrary::Result<Self> {
                let mut chosen = input.choose_index([$(stringify!($variant)),*].len())?;
                $(
                    if chosen == 0 {
                        return Ok(Self::$variant { $($field: input.arbitrary()?),* });
                    }
                    chosen = chosen.wrapping_sub(1);
                )*
                Err(arbitrary::Error::IncorrectFormat)
            }
        }
    };
}
pub(crate) use drawn;
