//! Which instructions to use.

use std::sync::OnceLock;

/// Instruction set of the kernels. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// AVX-512 F, BW, DQ, VL, VBMI, VNNI, VPOPCNTDQ, BITALG and GFNI (Ice Lake, Zen 4 and later).
    Avx512,
}

impl Isa {
    /// The best that this CPU has; `FARAD_ISA=scalar` in the environment keeps to portable code.
    #[must_use]
    pub fn detect() -> Self {
        static ISA: OnceLock<Isa> = OnceLock::new();
        *ISA.get_or_init(|| {
            if std::env::var_os("FARAD_ISA").is_some_and(|v| v == "scalar") { Self::Scalar } else { Self::best() }
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
        if all { Self::Avx512 } else { Self::Scalar }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn best() -> Self {
        Self::Scalar
    }

    /// All that can run here.
    #[must_use]
    pub fn available() -> &'static [Isa] {
        match Self::best() {
            Self::Avx512 => &[Self::Scalar, Self::Avx512],
            Self::Scalar => &[Self::Scalar],
        }
    }

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx512 => "avx512",
        }
    }
}
