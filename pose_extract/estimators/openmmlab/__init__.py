"""OpenMMLab: any mmdet person detector with any mmpose top-down model, or a one-stage model."""
