//! Which instructions to use.

use std::sync::OnceLock;

/// Instruction set of the kernels. Results do not depend on it, but for the last bits of training ([`dense`](crate::dense)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// AVX2, BMI and POPCNT (x86-64-v3): vector code for conversions and products, portable Rust compiled for it elsewhere.
    Avx2,
    /// AVX-512 F, BW, DQ, VL, VBMI, VNNI, VPOPCNTDQ, BITALG and GFNI (Ice Lake, Zen 4 and later).
    Avx512,
}

impl Isa {
    /// The best that this CPU has; `FARAD_ISA=scalar` or `avx2` in the environment keeps to less.
    #[must_use]
    pub fn detect() -> Self {
        static ISA: OnceLock<Isa> = OnceLock::new();
        *ISA.get_or_init(|| {
            let wish = std::env::var("FARAD_ISA").unwrap_or_default();
            Self::available()
                .iter()
                .copied()
                .find(|isa| isa.name() == wish)
                .unwrap_or_else(Self::best)
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn best() -> Self {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("gfni");
        let v3 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        match (all, v3) {
            (true, true) => Self::Avx512,
            (_, true) => Self::Avx2,
            _ => Self::Scalar,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn best() -> Self {
        Self::Scalar
    }

    /// All that can run here.
    #[must_use]
    pub fn available() -> &'static [Isa] {
        match Self::best() {
            Self::Avx512 => &[Self::Scalar, Self::Avx2, Self::Avx512],
            Self::Avx2 => &[Self::Scalar, Self::Avx2],
            Self::Scalar => &[Self::Scalar],
        }
    }

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// Defines a portable function that is compiled twice, for the baseline and for [`Isa::Avx2`], and picks by its first argument.
macro_rules! portable {
    ($(#[$attribute:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$attribute])*
        fn $name(isa: $crate::Isa, $($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn baseline($($arg: $type),*) $(-> $result)? $body

            /// # Safety
            /// Needs the features below.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
            unsafe fn avx2($($arg: $type),*) $(-> $result)? {
                baseline($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if isa != $crate::Isa::Scalar {
                // SAFETY: every level above the baseline includes these features, which were detected.
                return unsafe { avx2($($arg),*) };
            }
            let _ = isa;
            baseline($($arg),*)
        }
    };
}
pub(crate) use portable;
