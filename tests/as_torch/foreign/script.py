"""A training script as people write them for PyTorch."""

import argparse

import network
import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.optim as optim
from torch.cuda.amp import GradScaler, autocast
from torch.utils.data import DataLoader, TensorDataset, random_split

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()

torch.manual_seed(0)
cudnn.benchmark = True
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
images = torch.randn(40, 3, 8, 8)
labels = (images.mean(dim=[1, 2, 3]) > 0).long()
train, held_out = random_split(TensorDataset(images, labels), [32, 8])
loader = DataLoader(train, batch_size=8, shuffle=True, num_workers=2, pin_memory=True)
net = nn.DataParallel(network.Net(2)).to(device, non_blocking=True)
criterion = nn.CrossEntropyLoss().to(device)
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9, foreach=True)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
scaler = GradScaler()
for _ in range(args.epochs):
    net.train()
    for x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = criterion(net(x.to(device)), y.to(device))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    scheduler.step()
net.eval()
with torch.no_grad():
    hits = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(held_out, batch_size=4))
print(f"library {type(loss).__module__.split('.')[0]}, loss {loss.item():.3f}, {hits} of {len(held_out)} right")
