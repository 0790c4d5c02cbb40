from __future__ import annotations
import numpy as np
from recommender.kernels import row_kernel
from recommender.kernels.selecting import insert_best
from recommender.models.steps import lists_of, Neighbours
@row_kernel
def _sum(wanted,gs,gp,ps,pe,unit,gw,nf,nt,total,touched,kept,count,row,score):
    for at in range(len(wanted)):
        i=wanted[at]; f=0
        for x in range(ps[i],ps[i+1]):
            u=unit[pe[x]]
            for y in range(gs[u],gs[u+1]):
                j=gp[y]
                if j!=i:
                    if total[j]==0: touched[f]=j; f+=1
                    total[j]+=gw[u]
        k=0
        for z in range(f):
            j=touched[z]; v=total[j]*nf[i]*nt[j]; total[j]=0
            k=insert_best(row[at],score[at],k,kept,j,v)
        count[at]=k
def nearest(start, product, weight, products, exponents, kept, threads, wanted=None):
    a,b,c=exponents
    size=np.diff(start); unit=np.repeat(np.arange(len(size),dtype=np.int32),size)
    entry=np.argsort(product,kind='stable'); ps=np.concatenate(([0],np.cumsum(np.bincount(product,minlength=products)))).astype(np.int64)
    d=np.maximum(np.diff(ps),1).astype(float)
    gw=(np.maximum(size,1)**-float(c)).astype(np.float32)
    return lists_of(products, lambda r,w,o: _sum(r,start,product,ps,entry,unit,gw,(d**-a).astype(np.float32),(d**-b).astype(np.float32),*w,*o),kept,threads,wanted)
