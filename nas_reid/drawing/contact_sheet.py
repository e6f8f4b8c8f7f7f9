"""A contact sheet: one row per identity, one column per camera, so that a person sees what the data look like."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from nas_reid.drawing.lettering import lettering

MARGIN, LABEL = 4, 40


def contact_sheet(rows: Mapping[str, Sequence[Image.Image | None]], columns: Sequence[str], *,
                  cell: tuple[int, int] = (128, 64)) -> Image.Image:
    """A labelled grid of pictures.

    Args:
        rows: row label to one image per column; None leaves the cell empty.
        columns: column labels.
        cell: height and width of one picture in pixels.
    """
    height, width = cell
    label_width = max([LABEL, *(int(lettering(10, line).getlength(line)) + 2 * MARGIN
                                for label in rows for line in label.split("\n"))])
    sheet = Image.new("RGB", (label_width + len(columns) * (width + MARGIN), 16 + len(rows) * (height + MARGIN)),
                      "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(columns):
        pen.text((label_width + column * (width + MARGIN) + 4, 2), name, fill="black", font=lettering(10, name))
    for row, (label, images) in enumerate(rows.items()):
        top = 16 + row * (height + MARGIN)
        pen.text((4, top + height // 2 - 5), label, fill="black", font=lettering(10, label))
        for column, image in enumerate(images):
            if image is not None:
                resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
                sheet.paste(resized, (label_width + column * (width + MARGIN), top))
    return sheet
