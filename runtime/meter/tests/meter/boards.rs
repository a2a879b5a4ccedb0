//! Boards as tables of files below `/sys`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Files and what they contain.
pub type Table = &'static [(&'static str, &'static str)];

/// A board in a folder of its own.
pub struct Board {
    folder: TempDir,
}

impl Board {
    pub fn new(table: Table) -> Self {
        let board = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in table {
            board.write(path, text);
        }
        board
    }

    pub fn sys(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
}

pub const NANO: Table = &[
    ("firmware/devicetree/base/model", "NVIDIA Jetson Nano Developer Kit"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/name", "ina3221x"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0", "POM_5V_IN"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input", "2533"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_voltage0_input", "5032"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/crit_current_limit_0", "32760 ma"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1", "POM_5V_GPU"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input", "40"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_2", "POM_5V_CPU"),
    ("bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power2_input", "484"),
];

/// Rails lie on two chips; the other spelling of labels and folders is used on one.
pub const TX2: Table = &[
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/rail_name0", "VDD_GPU"),
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/in_power0_input", "153 mw"),
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/rail_name1", "VDD_SOC"),
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/in_power1_input", "384"),
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/rail_name2", "VDD_WIFI"),
    ("bus/i2c/drivers/ina3221x/0-0040/iio_device/in_power2_input", "38"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/rail_name_0", "VDD_IN"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input", "1038"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/rail_name_1", "VDD_CPU"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power1_input", "153"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/rail_name_2", "VDD_DDR"),
    ("bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power2_input", "192"),
];

pub const AGX_XAVIER: Table = &[
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/rail_name_0", "GPU"),
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/in_power0_input", "1155"),
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/rail_name_1", "CPU"),
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/in_power1_input", "385"),
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/rail_name_2", "SOC"),
    ("bus/i2c/drivers/ina3221x/1-0040/iio:device0/in_power2_input", "2504"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/rail_name_0", "CV"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/in_power0_input", "0"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/rail_name_1", "VDDRQ"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/in_power1_input", "192"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/rail_name_2", "SYS5V"),
    ("bus/i2c/drivers/ina3221x/1-0041/iio:device1/in_power2_input", "2692"),
];

/// JetPack 5: reached by the driver's folder, for a kernel whose class folder was not copied.
pub const XAVIER_NX: Table = &[
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/name", "ina3221"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in1_label", "VDD_IN"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in1_input", "5080"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/curr1_input", "760"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/shunt1_resistor", "5000"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in2_label", "VDD_CPU_GPU_CV"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in2_input", "5080"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/curr2_input", "80"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in3_label", "VDD_SOC"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/in3_input", "5080"),
    ("bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/curr3_input", "240"),
];

/// JetPack 6, with the 512 samples that were seen in the field; the sum channel and a supply are no rails.
pub const ORIN_NANO: Table = &[
    ("firmware/devicetree/base/model", "NVIDIA Jetson Orin Nano Developer Kit"),
    ("class/hwmon/hwmon0/name", "ucsi_source_psy_1"),
    ("class/hwmon/hwmon0/in1_input", "5000"),
    ("class/hwmon/hwmon0/curr1_input", "3000"),
    ("class/hwmon/hwmon1/name", "ina3221"),
    ("class/hwmon/hwmon1/samples", "512"),
    ("class/hwmon/hwmon1/update_interval", "3379"),
    ("class/hwmon/hwmon1/in1_label", "VDD_IN"),
    ("class/hwmon/hwmon1/in1_input", "4960"),
    ("class/hwmon/hwmon1/curr1_input", "1008"),
    ("class/hwmon/hwmon1/shunt1_resistor", "5000"),
    ("class/hwmon/hwmon1/in2_label", "VDD_CPU_GPU_CV"),
    ("class/hwmon/hwmon1/in2_input", "4960"),
    ("class/hwmon/hwmon1/curr2_input", "160"),
    ("class/hwmon/hwmon1/shunt2_resistor", "5000"),
    ("class/hwmon/hwmon1/in3_label", "VDD_SOC"),
    ("class/hwmon/hwmon1/in3_input", "4960"),
    ("class/hwmon/hwmon1/curr3_input", "280"),
    ("class/hwmon/hwmon1/shunt3_resistor", "5000"),
    ("class/hwmon/hwmon1/in4_input", "0"),
    ("class/hwmon/hwmon1/in7_label", "sum of shunt voltages"),
    ("class/hwmon/hwmon1/in7_input", "7"),
    ("class/hwmon/hwmon1/curr4_input", "1448"),
    ("class/hwmon/hwmon2/name", "soctherm_oc"),
    ("class/hwmon/hwmon2/oc1_event_cnt", "0"),
    ("class/hwmon/hwmon2/oc2_event_cnt", "0"),
    ("class/hwmon/hwmon2/oc3_event_cnt", "14"),
    ("class/thermal/thermal_zone0/type", "cpu-thermal"),
    ("class/thermal/thermal_zone0/temp", "48250"),
    ("class/thermal/thermal_zone1/type", "cv0-thermal"),
    ("class/thermal/thermal_zone1/temp", "-256000"),
    ("class/thermal/thermal_zone2/type", "tj-thermal"),
    ("class/devfreq/17000000.gpu/min_freq", "306000000"),
    ("class/devfreq/17000000.gpu/max_freq", "1020000000"),
    ("class/devfreq/17000000.gpu/governor", "nvhost_podgov"),
    ("devices/system/cpu/cpufreq/policy0/scaling_min_freq", "729600"),
    ("devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1728000"),
    ("devices/system/cpu/cpufreq/policy0/scaling_governor", "schedutil"),
];

pub const AGX_ORIN: Table = &[
    ("class/hwmon/hwmon3/name", "ina3221"),
    ("class/hwmon/hwmon3/in1_label", "VDD_GPU_SOC"),
    ("class/hwmon/hwmon3/in1_input", "19920"),
    ("class/hwmon/hwmon3/curr1_input", "120"),
    ("class/hwmon/hwmon3/shunt1_resistor", "2000"),
    ("class/hwmon/hwmon3/in2_label", "VDD_CPU_CV"),
    ("class/hwmon/hwmon3/in2_input", "19920"),
    ("class/hwmon/hwmon3/curr2_input", "40"),
    ("class/hwmon/hwmon3/shunt2_resistor", "2000"),
    ("class/hwmon/hwmon3/in3_label", "VIN_SYS_5V0"),
    ("class/hwmon/hwmon3/in3_input", "5032"),
    ("class/hwmon/hwmon3/curr3_input", "700"),
    ("class/hwmon/hwmon3/shunt3_resistor", "2000"),
    ("class/hwmon/hwmon4/name", "ina3221"),
    ("class/hwmon/hwmon4/in1_label", "NC"),
    ("class/hwmon/hwmon4/in1_input", "0"),
    ("class/hwmon/hwmon4/curr1_input", "0"),
    ("class/hwmon/hwmon4/in2_label", "VDDQ_VDD2_1V8AO"),
    ("class/hwmon/hwmon4/in2_input", "5016"),
    ("class/hwmon/hwmon4/curr2_input", "60"),
    ("class/hwmon/hwmon4/shunt2_resistor", "2000"),
    ("class/hwmon/hwmon4/in3_enable", "0"),
    ("class/hwmon/hwmon4/in3_label", "SPARE"),
    ("class/hwmon/hwmon4/in3_input", "0"),
    ("class/hwmon/hwmon4/curr3_input", "0"),
];

/// Its power is in microwatts.
pub const THOR: Table = &[
    ("class/hwmon/hwmon0/name", "ucsi_source_psy_2"),
    ("class/hwmon/hwmon0/power1_input", "60000000"),
    ("class/hwmon/hwmon1/name", "ina238"),
    ("class/hwmon/hwmon1/in1_label", "VIN"),
    ("class/hwmon/hwmon1/in0_input", "12"),
    ("class/hwmon/hwmon1/in1_input", "20150"),
    ("class/hwmon/hwmon1/curr1_input", "1200"),
    ("class/hwmon/hwmon1/power1_input", "24180000"),
];

/// Voltages without currents, no power.
pub const RASPBERRY_PI_5: Table = &[
    ("class/hwmon/hwmon0/name", "cpu_thermal"),
    ("class/hwmon/hwmon0/temp1_input", "51250"),
    ("class/hwmon/hwmon1/name", "rp1_adc"),
    ("class/hwmon/hwmon1/in1_input", "1450"),
    ("class/hwmon/hwmon2/name", "rpi_volt"),
    ("class/hwmon/hwmon2/in0_lcrit_alarm", "0"),
];

pub const X86_SERVER: Table = &[
    ("class/hwmon/hwmon0/name", "coretemp"),
    ("class/hwmon/hwmon1/name", "power_meter"),
    ("class/hwmon/hwmon1/power1_average", "212000000"),
    ("class/hwmon/hwmon1/power1_average_interval", "1000"),
    ("class/powercap/intel-rapl/enabled", "1"),
    ("class/powercap/intel-rapl:0/name", "package-0"),
    ("class/powercap/intel-rapl:0/energy_uj", "262143000000"),
    ("class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850"),
    ("class/powercap/intel-rapl:0:0/name", "core"),
    ("class/powercap/intel-rapl:0:0/energy_uj", "5000000"),
    ("class/powercap/intel-rapl:0:0/max_energy_range_uj", "262143328850"),
    ("class/powercap/intel-rapl:0:1/name", "dram"),
    ("class/powercap/intel-rapl:0:1/energy_uj", "7000000"),
    ("class/powercap/intel-rapl:0:1/max_energy_range_uj", "65712999613"),
    ("class/powercap/intel-rapl:1/name", "package-1"),
    ("class/powercap/intel-rapl:1/energy_uj", "1000000"),
    ("class/powercap/intel-rapl:1/max_energy_range_uj", "262143328850"),
    ("class/powercap/intel-rapl-mmio:0/name", "package-0"),
    ("class/powercap/intel-rapl-mmio:0/energy_uj", "262143000000"),
];

/// Jetson boards: name, files, domain of the total, its power in microwatts.
pub const JETSONS: [(&str, Table, &str, i64); 7] = [
    ("Nano", NANO, "POM_5V_IN", 2_533_000),
    ("TX2", TX2, "VDD_IN", 1_038_000),
    ("AGX Xavier", AGX_XAVIER, "module_sum(GPU+CPU+SOC+CV+VDDRQ+SYS5V)", 6_928_000),
    ("Xavier NX", XAVIER_NX, "VDD_IN", 3_860_800),
    ("Orin Nano", ORIN_NANO, "VDD_IN", 4_999_680),
    ("AGX Orin", AGX_ORIN, "module_sum(VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0)", 6_709_600),
    ("Thor", THOR, "VIN", 24_180_000),
];
