"""Retrieval where every other image of the query's identity is a match, in loops over Python numbers.

After open-metric-learning's description of its metrics: an image that is query and gallery does not find itself, nor
the images of its own sequence; AP is the mean of the precision at the matches.
"""


def any_other_image(features: list[list[float]], labels: list[int], sequences: list[int], queries: list[int],
                    gallery: list[int]) -> list[dict | None]:
    """Per query its AP, and the ranks of the first and the last match; None where nothing can be found.

    Args:
        features, labels: of all images.
        sequences: of all images, -1 for none.
        queries, gallery: which images look for others, and which are searched, in order.
    """
    scores = []
    for query in queries:
        candidates = [image for image in gallery if image != query
                      and (sequences[image] == -1 or sequences[image] != sequences[query])]
        distances = {image: sum((a - b) ** 2 for a, b in zip(features[query], features[image], strict=True))
                     for image in candidates}
        ranked = sorted(candidates, key=lambda image: distances[image])
        hits = [rank for rank, image in enumerate(ranked, start=1) if labels[image] == labels[query]]
        scores.append({"ap": sum(found / rank for found, rank in enumerate(hits, start=1)) / len(hits),
                       "first": hits[0], "last": hits[-1], "matches": len(hits)} if hits else None)
    return scores
