//! Where datasets are published, and the MD5 sums of their files.
//!
//! Sums of whole downloads are the publishers' own: CIFAR's stand on its page, Fashion-MNIST's in its repository's README,
//! MNIST's in torchvision, whose mirror this is (the files are those of LeCun's page). The files inside the CIFAR archives
//! have the sums that other projects check after unpacking.

/// A dataset that can be fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// Its name.
    pub(super) name: &'static str,
    /// Address of the folder that holds its downloads.
    pub(super) address: &'static str,
    /// What holds the files, unless they are the downloads themselves.
    pub(super) archive: Option<Archive>,
    /// What a reader of the dataset needs.
    pub(super) files: &'static [File],
}

/// A gzipped tar of a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive {
    pub(super) file: File,
    /// The folder in it.
    pub(super) folder: &'static str,
}

/// A file and its MD5 sum in hexadecimal.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) md5: &'static str,
}

/// Everything that can be fetched.
pub(super) const DATASETS: &[Published] = &[
    Published {
        name: "cifar-10",
        address: "https://www.cs.toronto.edu/~kriz",
        archive: Some(Archive {
            file: file("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
            folder: "cifar-10-batches-bin",
        }),
        files: &[
            file("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
            file("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
            file("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
            file("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
            file("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
            file("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
        ],
    },
    Published {
        name: "cifar-100",
        address: "https://www.cs.toronto.edu/~kriz",
        archive: Some(Archive {
            file: file("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
            folder: "cifar-100-binary",
        }),
        files: &[
            file("train.bin", "6172c7755cfe09b2fe270c85cebc1b15"),
            file("test.bin", "4499cfba6c016c1be1438163640a0898"),
        ],
    },
    Published {
        name: "fashion-mnist",
        address: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        archive: None,
        files: &[
            file("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            file("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            file("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            file("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ],
    },
    Published {
        name: "mnist",
        address: "https://ossci-datasets.s3.amazonaws.com/mnist",
        archive: None,
        files: &[
            file("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            file("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            file("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            file("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ],
    },
];

const fn file(name: &'static str, md5: &'static str) -> File {
    File { name, md5 }
}
