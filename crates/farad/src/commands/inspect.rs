//! `farad inspect`

use crate::cli::InspectArgs;
use crate::failure::{Failure, Status};
use crate::inputs;
use crate::terminal::Terminal;
use farad_net::Network;
use farad_report::text::{Align, TextTable};
use farad_report::units::{count, short_name, si};

pub(crate) fn run(args: &InspectArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let network = inputs::network(&args.network.network)?;
    terminal.print(&format!(
        "{}\n{}\n",
        headline(&network),
        node_table(&network).render(terminal.look())
    ))?;
    Ok(Status::Done)
}

fn headline(network: &Network) -> String {
    let [height, width, channels] = network.input_shape();
    let preprocess = match network.preprocess() {
        Some(p) => format!("real = (pixel * {} / 255 - {:?}) / {:?}", p.pixel_max, p.mean, p.std),
        None if network.needs_preprocess() => "unknown: `farad run` needs --pixel-max, --mean and --std".into(),
        None => "pixels as they are".into(),
    };
    format!(
        "network       {}\nsha256        {}\ninput         {height}x{width}x{channels}, {preprocess}\n\
         classes       {}\nparams        {}\nMACs          {}\nBOPs          {} ({} by UNIQ)\n",
        network.name(),
        network.sha256(),
        network.classes(),
        count(network.params()),
        count(network.macs()),
        si(network.bops() as f64, ""),
        si(network.bops_uniq() as f64, ""),
    )
}

fn node_table(network: &Network) -> TextTable {
    let mut table = TextTable::new([
        ("node", Align::Left),
        ("op", Align::Left),
        ("output", Align::Left),
        ("params", Align::Right),
        ("MACs", Align::Right),
        ("BOPs", Align::Right),
        ("BOPs UNIQ", Align::Right),
    ]);
    for node in network.nodes() {
        let shape: Vec<String> = node.shape.iter().map(ToString::to_string).collect();
        let mut row = vec![short_name(&node.name, 40), node.op.to_string(), shape.join("x")];
        if node.mac_layer.is_some() {
            row.extend([node.params, node.macs, node.bops, node.bops_uniq].map(|n| n.to_string()));
        }
        table.row(row);
    }
    table
}
