"""Writers of the layouts of vehicles and of parts of people: empty files under the right names."""

from pathlib import Path

from tests.data.miniatures import touch


def write_veri(root: Path) -> Path:
    base = root / "VeRi"
    touch(base / "image_train", (f"{pid:04d}_c{cam:03d}_0000{pid}_0.jpg" for pid in (1, 3) for cam in (1, 20)))
    touch(base / "image_query", (f"{pid:04d}_c001_0000{pid}_0.jpg" for pid in (2, 5)))
    touch(base / "image_test", (f"{pid:04d}_c{cam:03d}_0000{pid}_{cam}.jpg" for pid in (2, 5) for cam in (1, 2, 7)))
    return root


def write_vehicleid(root: Path, sizes: tuple[int, int, int] = (3, 4, 5), images: int = 4) -> Path:
    """Vehicles 1 and 2 train; the test lists hold the first of the vehicles from 101 on."""
    base = root / "VehicleID"
    (base / "train_test_split").mkdir(parents=True)
    names = {vehicle: [f"{100 * vehicle + image:07d}" for image in range(images)] for vehicle in
             (1, 2, *range(101, 101 + max(sizes)))}
    touch(base / "image", (f"{image}.jpg" for own in names.values() for image in own))
    for file, vehicles in {"train_list": (1, 2), **{f"test_list_{official}": range(101, 101 + size) for official, size
                                                    in zip((800, 1600, 2400), sizes, strict=True)}}.items():
        (base / f"train_test_split/{file}.txt").write_text(
            "".join(f"{image} {vehicle}\n" for vehicle in vehicles for image in names[vehicle]))
    return root


def write_veri_wild(root: Path) -> Path:
    """Vehicles 1 and 2 train, 3 to 5 test; every vehicle has images in cameras 8, 30 and 174."""
    base = root / "VERI-Wild"
    (base / "train_test_split").mkdir(parents=True)
    images = {vehicle: [f"{vehicle:05d}/{10 * vehicle + k:06d}" for k in range(3)] for vehicle in range(1, 6)}
    for vehicle, own in images.items():
        touch(base / f"images/{vehicle:05d}", (f"{Path(image).name}.jpg" for image in own))
    lists = {"train_list": images[1] + images[2]}
    for official, vehicles in ((3000, (3,)), (5000, (3, 4)), (10000, (3, 4, 5))):
        lists[f"test_{official}_query"] = [images[vehicle][0] for vehicle in vehicles]
        lists[f"test_{official}"] = [image for vehicle in vehicles for image in images[vehicle][1:]]
    for name, own in lists.items():
        (base / f"train_test_split/{name}.txt").write_text("".join(f"{image}.jpg\n" for image in own))
    rows = [f"{image};{camera};2018-03-11 08:24:01;Audi;SUV;red\n" for own in images.values()
            for image, camera in zip(own, (8, 30, 174), strict=True)]
    rows = ["id/image;Camera ID;Time;Model;Type;Color\n", *rows]
    (base / "train_test_split/vehicle_info.txt").write_text("".join(rows))
    return root


def write_partial(root: Path, name: str, people: int, images: int) -> Path:
    folder, parts = {"partial_reid": ("Partial_REID", ("partial_body_images", "whole_body_images")),
                     "occluded_reid": ("OccludedREID", ("query", "gallery")),
                     "partial_ilids": ("PartialiLIDS", ("query", "gallery"))}[name]
    suffix = ".tif" if name == "occluded_reid" else ".jpg"
    for part in parts:
        touch(root / folder / part, (f"{pid:03d}_{image:02d}{suffix}" for pid in range(people)
                                     for image in range(1, images + 1)))
    return root
